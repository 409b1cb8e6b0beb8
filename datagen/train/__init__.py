"""Training a language model with GRPO on a dataset's grounding labels.

Importing it raises MissingExtra where torch or transformers is not installed.
"""

from datagen.extras import require

require("longrlvr-data train", "train", "torch", "transformers")
