"""Questions over long documents, rewarded for the answer and for the chunks that are cited."""

from longrlvr_env.taskset import LongRLVRTaskset

__all__ = ["LongRLVRTaskset"]
