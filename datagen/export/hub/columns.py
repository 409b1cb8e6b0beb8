"""What each column is, for the card."""

from datagen.export.hub.tables import DOCUMENTS, FULL, QUESTIONS

BESIDES = {QUESTIONS: ", which has the columns of `default` but `prompt`, and besides"}
SAID: dict[str, dict[str, str]] = {
    FULL: {
        "data_source": "the dataset's name",
        "prompt": "the messages: the instructions, every chunk as `<CHUNK_i>…</CHUNK_i>`, the question",
        "ability": "what is asked for",
        "reward_model.style": "`rule`",
        "reward_model.ground_truth": "the answer",
        "extra_info.index": "the row's number in its split",
        "extra_info.split": "train or validation",
        "extra_info.qa_id": "the row's id",
        "extra_info.doc_id": "the document's id; null where it is not known",
        "extra_info.cluster_id": "the thematic cluster of chunks that the question was made from",
        "extra_info.question": "the question as plain text",
        "extra_info.answer": "the answer as plain text",
        "extra_info.ref_chunks": "the evidence, as numbered in the prompt",
        "extra_info.ref_chunks_text": "the text of those chunks",
        "extra_info.alt_chunks": "chunks that would do as well as one of the evidence, and are none by the label",
        "extra_info.first_chunk": "the document's chunk that the prompt shows as number 0",
        "extra_info.n_chunks": "how many chunks the prompt shows",
        "extra_info.n_tokens": "tokens of the prompt",
        "extra_info.rating": "how the judge rated the question, out of 10",
        "extra_info.pass_rate": "how often the policy was right with the document in view; null where it was not asked",
        "extra_info.generator": "the model or method that wrote the question",
        "extra_info.metadata": "the input's other columns of the document, as one JSON object",
    },
    QUESTIONS: {
        "document.document_id": "the row of `documents`",
        "document.first_chunk": "the first of its chunks that the prompt shows",
        "document.n_chunks": "how many it shows",
        "prompt_parts": "the messages without the document: what stands `before` it and `after` it; `after` is null in "
        "a message that shows none",
    },
    DOCUMENTS: {
        "document_id": "`doc_id`; a number more where two documents have the same one; a hash of the text where it is "
        "not known which document a prompt shows, or from which chunk on",
        "doc_id": "the document's id as the rows have it",
        "chunks": "the chunks in order, as prompts show them; null for one that no prompt shows",
    },
}
