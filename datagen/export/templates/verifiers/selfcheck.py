"""The rows and the reward of this folder through verifiers' own classes: `pip install -e .` first."""

import asyncio
import math

import verifiers.v1 as vf
from longrlvr_env import LongRLVRTaskset
from longrlvr_env.longrlvr_reward import check_cases
from longrlvr_env.taskset import LongRLVRConfig
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.graph import MessageNode
from verifiers.v1.trace import AgentInfo, TraceTask
from verifiers.v1.utils.decorators import discover_decorated, invoke


def main() -> None:
    tasks = list(LongRLVRTaskset(LongRLVRConfig()))
    assert len(tasks) == {{rows_train}}, f"{len(tasks)} of {{rows_train}} rows"
    task, wrong = tasks[0], 0
    assert "<CHUNK_0>" in task.data.prompt_text
    cases = check_cases(task.data.ref_chunks, task.data.answer)
    (hook,) = discover_decorated(task, "reward")
    for response, expected in cases:
        trace = trace_of(task, response)
        found = asyncio.run(invoke(hook, {"trace": trace}))
        wrong += not math.isclose(found, expected)
        print(f"{found:.4f} for {expected:.4f}: {response!r:.100}")
    if wrong:
        raise SystemExit(f"{wrong} of {len(cases)} rewards are not as they should be")
    print(f"verifiers takes {len(tasks)} rows, and all {len(cases)} rewards are right")


def trace_of(task, response):
    """A trace in which the model wrote this."""
    node = MessageNode(message=vf.AssistantMessage(content=response), sampled=True)
    about = TraceTask(type=type(task).__name__, data=task.data)
    return vf.Trace(task=about, agent=AgentInfo(config=AgentConfig()), nodes=[node])


if __name__ == "__main__":
    main()
