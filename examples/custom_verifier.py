"""A verifier of one's own: answers that are years may be off by one.

In a configuration: `train: {reward: {verifier: "custom_verifier:about_the_year"}}`, with this folder on PYTHONPATH.
"""

import datagen


def about_the_year(expected: str, given: str) -> float:
    """1.0 for the same year or one beside it, else 0.0; the signature is that of every bundled verifier."""
    return float(given.isdigit() and expected.isdigit() and abs(int(expected) - int(given)) <= 1)


if __name__ == "__main__":
    row = {"reward_model": {"ground_truth": "1889"}, "extra_info": {"ref_chunks": [17, 83]}}
    response = "<useful_chunks><CHUNK_17><CHUNK_83></useful_chunks>\n<answer>1890</answer>"
    print(datagen.score(row, response, verifier=about_the_year))
