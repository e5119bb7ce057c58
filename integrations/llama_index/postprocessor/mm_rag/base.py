"""MultimodalRerank: a Reranker as a LlamaIndex node postprocessor."""

from __future__ import annotations

from typing import Any, Self

from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.utils.mm_rag.nodes import FoundNode, node_to_content, with_picture
from llama_index.utils.mm_rag.queries import query_to_content
from llama_index_instrumentation import get_dispatcher
from pydantic.json_schema import SkipJsonSchema

from mm_rag._threads import run_in_thread
from mm_rag.errors import InputError
from mm_rag.reranker import Reranker

dispatcher = get_dispatcher(__name__)


class MultimodalRerank(BaseNodePostprocessor):
    """Sort nodes by their relevance to a query, and keep the best.

    A multimodal reranker scores the page, picture or clip that a node refers to; the embedded
    default and text rerankers score its text. A query is a QueryBundle or a `MultimodalQuery`.

    The results are new NodeWithScore objects with the same nodes; the input is not modified. One
    exception: a record that mm-rag or LangChain wrote to Chroma is a TextNode when
    `ChromaVectorStore` reads it. Such a node is replaced by a Node with the same id and the picture
    that its metadata name, so that a query engine with `multimodal=True` shows it.

    Example:
        .. code-block:: python

            RetrieverQueryEngine.from_args(
                retriever, llm=llm, node_postprocessors=[MultimodalRerank(top_n=3)], multimodal=True
            )
    """

    model_config = ConfigDict(extra="forbid")  # or `model_name=` would be silently ignored

    model: str | None = Field(
        default=None, description="A folder, or the name of a model; None: the built-in default."
    )
    top_n: int = Field(default=5, ge=1, description="Number of nodes to keep.")
    reranker: SkipJsonSchema[Reranker | None] = Field(
        default=None, exclude=True, repr=False, description="A Reranker to use instead of model."
    )
    _reranker: Reranker = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex serialises the component."""
        return "MmRagMultimodalRerank"

    def model_post_init(self, context: Any, /) -> None:
        """Load the model."""
        super().model_post_init(context)
        self._reranker = self.reranker or Reranker(self.model)

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the settings for `from_dict`.

        Raises:
            InputError: It was given a Reranker, which has no serialisable settings.
        """
        if self.reranker is not None:
            raise InputError(
                "A MultimodalRerank with a Reranker object cannot be saved or pickled: another "
                "model would be loaded. Save the reranker (Reranker.save) and pass its folder: "
                "MultimodalRerank(model=folder)."
            )
        return super().to_dict(**kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings only; the weights are loaded again."""
        return type(self).from_dict, (self.to_dict(),)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; share the weights."""
        return self.__copy__()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("Reranking needs a query: pass query_bundle or query_str.")
        query = query_to_content(query_bundle)
        contents = [node_to_content(_checked(node).node, self._reranker) for node in nodes]
        if not nodes:
            return []
        name, top_n = self._reranker.name, self.top_n
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=top_n, model_name=name)
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            ranked = self._reranker.rank(query, contents, top_k=self.top_n)
            best: list[NodeWithScore] = [
                FoundNode(node=with_picture(nodes[item["index"]].node), score=item["score"])
                for item in ranked
            ]
            event.on_end(payload={EventPayload.NODES: best})
        dispatcher.event(ReRankEndEvent(nodes=best))
        return best

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await run_in_thread(self._postprocess_nodes, nodes, query_bundle)


def _checked(node: Any) -> NodeWithScore:
    if not isinstance(node, NodeWithScore):
        raise InputError(f"Expected NodeWithScore objects; got a {type(node).__name__}.")
    return node
