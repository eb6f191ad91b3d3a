"""Where the real data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.settings import REPOSITORY


def dataset_folder(name: str) -> Path:
    """Folder of that data set beneath OMNILAKE_DATASETS; skips the test where it is absent."""
    root = Path(os.environ.get("OMNILAKE_DATASETS") or REPOSITORY.parent / "shared" / "datasets")
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"the real data set {name} is not at {folder}; set OMNILAKE_DATASETS to the folder that holds it")
    return folder
