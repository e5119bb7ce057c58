"""An agent that searches until it knows enough, on LangChain's create_agent.

    mm-rag index my-documents
    python examples/agentic_retrieval_langchain.py "Which quarter was best, and why?"

It thinks, splits and rewrites the question, searches, looks at pages, and cites those that hold the
answer. If it runs out of model calls first, the results of its searches are returned instead, fused
by reciprocal rank.
"""

from __future__ import annotations

import argparse

from agent_trajectory import AGENT_PROMPT, Citation, Trajectory
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain.chat_models import init_chat_model
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from langchain_mm_rag import MultimodalTool
from mm_rag import Collection
from mm_rag.agent_tools import Toolbox
from mm_rag.prompt_content import Budget


def answer(
    question: str,
    collection: Collection,
    chat_model: BaseChatModel,
    *,
    max_calls: int = 12,
    budget: Budget = Budget(tokens=6_000),  # noqa: B008 - it is frozen
) -> tuple[str, list[Citation]]:
    """Answer a question from a collection.

    Args:
        question: The question.
        collection: The collection to search.
        chat_model: A chat model that calls tools and accepts pictures.
        max_calls: Maximum number of model calls; each repeats the whole conversation.
        budget: Bounds of each tool result.

    Returns:
        The answer, empty if the agent found none; and the pages, pictures and clips that hold it,
        best first.
    """
    toolbox = Toolbox(collection, budget=budget)
    trajectory = Trajectory(toolbox)
    agent = create_agent(
        chat_model,
        [
            MultimodalTool(trajectory.think),
            MultimodalTool(trajectory.search),
            MultimodalTool(toolbox.open_segment),
            MultimodalTool(trajectory.final_results),
        ],
        system_prompt=AGENT_PROMPT,
        middleware=[ModelCallLimitMiddleware(run_limit=max_calls, exit_behavior="error")],
    )
    try:
        state = agent.invoke({"messages": [HumanMessage(question)]})
        text = state["messages"][-1].text
    except (ModelCallLimitExceededError, ContextOverflowError):
        text = ""
    return text, trajectory.results()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer a question from a collection.")
    parser.add_argument("question")
    parser.add_argument("--collection", default="mm-rag-collection")
    options = parser.parse_args()

    chat_model = init_chat_model("openai:gpt-5.5")  # replace by any LangChain chat model

    with Collection(options.collection, create=False) as collection:
        text, citations = answer(options.question, collection, chat_model)
    print(text or "The agent found no answer. Its searches found:")
    for citation in citations:
        print(f"{citation.path}  {citation.reason}".rstrip())


if __name__ == "__main__":
    main()
