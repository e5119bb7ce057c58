"""An agent that searches until it knows enough, on LlamaIndex's FunctionAgent.

    mm-rag index my-documents
    python examples/agentic_retrieval_llama_index.py "Which quarter was best, and why?"

It thinks, splits and rewrites the question, searches, looks at pages, and cites those that hold the
answer. If it runs out of steps first, the results of its searches are returned instead, fused by
reciprocal rank.
"""

from __future__ import annotations

import argparse
import asyncio
from importlib import import_module

from agent_trajectory import AGENT_PROMPT, Citation, Trajectory
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.workflow import Context, WorkflowRuntimeError
from llama_index.tools.mm_rag import MultimodalTool

from mm_rag import Collection
from mm_rag.agent_tools import Toolbox
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
        question: The question.
        collection: The collection to search.
        llm: A chat model that calls tools and accepts pictures.
        max_iterations: Maximum number of steps; each repeats the whole conversation.
        budget: Bounds of each tool result.

    Returns:
        The answer, empty if the agent found none; and the pages, pictures and clips that hold it,
        best first.
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

    # Replace by any LlamaIndex model that calls functions.
    llm = import_module("llama_index.llms.openai").OpenAI("gpt-5.5")

    with Collection(options.collection, create=False) as collection:
        text, citations = asyncio.run(answer(options.question, collection, llm))
    print(text or "The agent found no answer. Its searches found:")
    for citation in citations:
        print(f"{citation.path}  {citation.reason}".rstrip())


if __name__ == "__main__":
    main()
