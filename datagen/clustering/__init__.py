"""HDBSCAN of a document's chunk vectors, and cuts of its tree into clusters of a usable size."""
