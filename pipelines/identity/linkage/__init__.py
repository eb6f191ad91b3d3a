"""Who is probably one person though no identifier says so: the nightly part of probabilistic linkage."""
