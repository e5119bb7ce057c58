"""An agent that searches until it knows enough, on LlamaIndex's FunctionAgent.

    mm-rag index my-documents
    python examples/agentic_retrieval_llama_index.py "Which quarter was best, and why?"

It thinks, splits and rewrites the question, searches, looks at pages, and cites the places that
hold the answer. If it runs out of steps first, the places are those that its searches found, fused
by their ranks: nothing it has found is lost.
"""

from __future__ import annotations

import argparse
import asyncio
from importlib import import_module

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.workflow import Context, WorkflowRuntimeError
from llama_index.tools.mm_rag import MultimodalTool

from mm_rag import Collection
from mm_rag.agent_tools import AGENT_PROMPT, Citation, Toolbox, Trajectory
from mm_rag.prompt_content import Budget


async def answer(
    question: str,
    collection: Collection,
    llm: FunctionCallingLLM,
    *,
    max_iterations: int = 12,
    budget: Budget = Budget(tokens=6_000),  # noqa: B008 - it is frozen
) -> tuple[str, list[Citation]]:
    """Answer a question from a collection.

    Args:
        question: In words.
        collection: What is searched.
        llm: One that calls tools and takes pictures.
        max_iterations: How often it may be called; what it was shown before, it is given each time.
        budget: Of each answer that a tool gives it.

    Returns:
        The answer, empty if the agent did not come to one; and the places that hold it, best first.
    """
    toolbox = Toolbox(collection, budget=budget)
    trajectory = Trajectory(toolbox)
    agent = FunctionAgent(
        tools=[
            MultimodalTool(trajectory.think),
            MultimodalTool(trajectory.search),
            MultimodalTool(toolbox.open_segment),
            MultimodalTool(trajectory.final_results),
        ],
        llm=llm,
        system_prompt=AGENT_PROMPT,
    )
    try:
        run = agent.run(Context(agent), user_msg=question, max_iterations=max_iterations)
        text = (await run).response.content or ""
    except WorkflowRuntimeError:
        text = ""
    return text, trajectory.results()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer a question from a collection.")
    parser.add_argument("question")
    parser.add_argument("--collection", default="mm-rag-collection")
    options = parser.parse_args()

    # The line to change: any model of LlamaIndex's that calls functions.
    llm = import_module("llama_index.llms.openai").OpenAI("gpt-5.5")

    with Collection(options.collection, create=False) as collection:
        text, citations = asyncio.run(answer(options.question, collection, llm))
    print(text or "The agent came to no answer. This is what it found:")
    for citation in citations:
        print(f"{citation.path}  {citation.reason}".rstrip())


if __name__ == "__main__":
    main()
