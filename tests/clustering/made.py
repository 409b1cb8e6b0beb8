"""Chunk vectors as documents have them: themes of several sides, noise, copies."""

import warnings

import numpy as np
from hypothesis import strategies as st


def themed(n_themes: int, n_sides: int, n_chunks: int, seed: int = 0, spread: float = 0.35, noise: float = 0.12):
    """Vectors of a document with `n_themes` themes, each of `n_sides` sides, each of `n_chunks` chunks, shuffled."""
    rng = np.random.default_rng(seed)
    dim = 64
    centres = rng.normal(size=(n_themes, 1, 1, dim))
    sides = rng.normal(size=(n_themes, n_sides, 1, dim)) * spread
    vectors = centres + sides + rng.normal(size=(n_themes, n_sides, n_chunks, dim)) * noise
    return half(vectors.reshape(-1, dim)[rng.permutation(n_themes * n_sides * n_chunks)])


def half(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors as they are stored."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def scattered(n: int, dim: int, n_themes: int, noise: float, seed: int, copies: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_themes, dim))[rng.integers(0, n_themes, n)] + noise * rng.normal(size=(n, dim))
    return half(vectors[rng.integers(0, n, n)] if copies else vectors)


documents = st.builds(
    scattered,
    n=st.integers(2, 120),
    dim=st.integers(2, 24),
    n_themes=st.integers(1, 8),
    noise=st.floats(0, 1),
    seed=st.integers(0, 999),
    copies=st.booleans(),
)


def reference(vectors: np.ndarray, min_cluster_size: int, min_samples: int, epsilon: float) -> list[list[int]]:
    """The clusters of scikit-learn's HDBSCAN."""
    from sklearn.cluster import HDBSCAN

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = HDBSCAN(
            min_cluster_size=min_cluster_size,
            min_samples=min(min_samples, len(vectors)),
            metric="cosine",
            cluster_selection_epsilon=epsilon,
            copy=True,  # pyright: ignore[reportArgumentType]  # a bool; the type is guessed from its default "warn"
        ).fit_predict(vectors)
    return sorted(np.flatnonzero(labels == label).tolist() for label in set(labels.tolist()) if label >= 0)


def as_lists(clusters: list[np.ndarray]) -> list[list[int]]:
    return sorted(cluster.tolist() for cluster in clusters)
