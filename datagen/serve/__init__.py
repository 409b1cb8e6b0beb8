"""An OpenAI-compatible endpoint in front of a model that answers from a document and cites its chunks.

`request.py` reads what a client sent, `prepare.py` makes the upstream's request of it, `upstream.py` sends that,
`reply.py` and `stream.py` make the client's reply of what comes back, `app.py` is the server around them.
"""
