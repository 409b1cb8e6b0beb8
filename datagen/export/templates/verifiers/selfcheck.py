"""The rows and the reward of this folder through verifiers' own classes: `pip install -e .` first.

python selfcheck.py [CASES.jsonl]
"""

import asyncio
import sys

import verifiers.v1 as vf
from longrlvr_env import LongRLVRTaskset
from longrlvr_env.longrlvr_reward import check, check_cases
from longrlvr_env.taskset import LongRLVRConfig
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.graph import MessageNode
from verifiers.v1.trace import AgentInfo, TraceTask
from verifiers.v1.utils.decorators import discover_decorated, invoke


def main() -> None:
    """Check rows and rewards; raises SystemExit where one is wrong."""
    tasks = list(LongRLVRTaskset(LongRLVRConfig()))
    assert len(tasks) == {{n_rows}}, f"{len(tasks)} of {{n_rows}} rows"
    task = tasks[0]
    assert "<CHUNK_0>" in task.data.prompt_text
    row = {"reward_model": {"ground_truth": task.data.answer}, "extra_info": {"ref_chunks": task.data.ref_chunks}}
    cases = check_cases(row, *sys.argv[1:])
    check("verifiers", cases, [reward_of(task, case) for case in cases])


def reward_of(task, case):
    """What verifiers makes of a trace in which the model wrote this."""
    like = task.with_data(answer=case["ground_truth"], ref_chunks=case["ref_chunks"])
    node = MessageNode(message=vf.AssistantMessage(content=case["response"]), sampled=True)
    about = TraceTask(type=type(like).__name__, data=like.data)
    trace = vf.Trace(task=about, agent=AgentInfo(config=AgentConfig()), nodes=[node])
    (hook,) = discover_decorated(like, "reward")
    return asyncio.run(invoke(hook, {"trace": trace}))


if __name__ == "__main__":
    main()
