"""Which chains of modules score pairs."""

from __future__ import annotations

from mm_rag.errors import CheckpointError
from mm_rag.modules.chain import Chain
from mm_rag.modules.dense import Dense
from mm_rag.modules.dropout import Dropout
from mm_rag.modules.layer_norm import LayerNorm
from mm_rag.modules.logit_score import LogitScore
from mm_rag.modules.normalize import Normalize
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.transformer import Transformer


def labels_of(chain: Chain, transformer: Transformer) -> int:
    """How many scores a pair gets.

    Raises:
        CheckpointError: None, or a module does not find what it reads.
    """
    _check_names(chain, transformer)
    for module in reversed(list(chain)):
        match module:
            case Dense(module_output_name="scores"):
                return module.out_features
            case LogitScore():
                module.check(_vocabulary(transformer))
                return 1
            case Transformer(output_name="scores"):
                return module.model.config.num_labels or 1
            case _:
                pass
    raise CheckpointError(
        f"This model makes no scores, so it cannot rerank: {', '.join(m.label for m in chain)}. "
        "Is it an encoder?"
    )


def _check_names(chain: Chain, transformer: Transformer) -> None:
    """See that every module finds what it reads among what those before it make.

    Raises:
        CheckpointError: One does not.
    """
    made = {transformer.output_name}
    for module in [*chain][1:]:
        match module:
            case Pooling():
                reads, makes = "token_embeddings", "sentence_embedding"
            case Dense() | Normalize():
                reads, makes = module.module_input_name, module.module_output_name
            case LogitScore():
                reads, makes = module.module_input_name, "scores"
            case LayerNorm() | Dropout():
                reads = makes = "sentence_embedding"
            case _:
                return  # nobody knows what it makes
        if reads not in made:
            raise CheckpointError(
                f"{module.label} reads {reads}, but what comes before it makes "
                f"{', '.join(sorted(made))}: {', '.join(one.label for one in chain)}."
            )
        made.add(makes)


def _vocabulary(transformer: Transformer) -> int:
    return transformer.model.config.get_text_config().vocab_size
