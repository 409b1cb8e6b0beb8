"""How a prompt is made again; the card of every export shows this function as it stands here."""


def prompt(row, documents):
    """The messages of a row of `questions`; `documents` has the chunks of each document by its id."""
    shown = row["document"]
    chunks = documents[shown["document_id"]][shown["first_chunk"] :][: shown["n_chunks"]]
    context = "\n".join(f"<CHUNK_{i}>{text}</CHUNK_{i}>" for i, text in enumerate(chunks))
    return [
        {"role": part["role"], "content": part["before"] + ("" if part["after"] is None else context + part["after"])}
        for part in row["prompt_parts"]
    ]
