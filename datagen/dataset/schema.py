"""The columns of a dataset: the contract with trainers. The shape is the one that verl reads."""

from __future__ import annotations

import pyarrow as pa

SPLITS = ("train", "validation")
ABILITY = "long-context-grounded-qa"
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", pa.string()),
                    ("qa_id", pa.string()),
                    ("doc_id", pa.string()),
                    ("cluster_id", pa.string()),
                    ("question", pa.string()),
                    ("answer", pa.string()),
                    ("ref_chunks", pa.list_(pa.int32())),  # as numbered in the prompt
                    ("ref_chunks_text", pa.list_(pa.string())),
                    ("alt_chunks", pa.list_(pa.int32())),  # as good as one of the evidence, as far as they are shown
                    ("first_chunk", pa.int32()),  # the document's chunk that the prompt shows as number 0
                    ("n_chunks", pa.int32()),
                    ("n_tokens", pa.int32()),
                    ("rating", pa.float32()),
                    ("pass_rate", pa.float32()),  # of the policy; null where it was not asked
                    ("generator", pa.string()),
                    ("metadata", pa.string()),  # the input's other columns, as one JSON object
                ]
            ),
        ),
    ]
)
