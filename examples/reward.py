"""The reward of a response: what it says is held against the labels of its row."""

import datagen

row = {"reward_model": {"ground_truth": "1889"}, "extra_info": {"ref_chunks": [17, 83]}}
response = "Both say so.\n<useful_chunks><CHUNK_17> <CHUNK_40></useful_chunks>\n<answer>1889</answer>"
print(datagen.score(row, response))
