"""The Streamlit pages: they read published snapshots and nothing else."""
