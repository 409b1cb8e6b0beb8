"""llama.cpp's own OpenAI-compatible server with one slot, for `make test-real`. Needs `xllamacpp`.

python tests/real/serve_model.py FILE.gguf --name NAME --context 8192      prints its base URL
"""

from __future__ import annotations

import argparse
import os
import threading

import xllamacpp  # pyright: ignore[reportMissingImports]  # in an environment of its own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--name", required=True, help="as requests call the model")
    parser.add_argument("--port", type=int, default=0, help="default: one that is free")
    parser.add_argument("--context", type=int, default=8192, help="tokens of a prompt and its reply")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = args.file
    params.model_alias = {args.name}
    params.port = args.port
    params.n_ctx = args.context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
