"""How much each token of a query matters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

# nDCG@10, first 20 of BM25: PubMedQA (150 queries, 300 texts), English XQuAD (237, 120).
#   BM25 alone                             0.966   0.972
#   equal weights                          0.987   0.993
#   idf over the documents of the call     0.989   0.995
#   idf over the whole collection          0.989   0.995
#   rank in the vocabulary (these weights) 0.989   0.995
# With the best window of a long document; the best token of any of its windows loses 0.000-0.003.


class WordWeights:
    """Weights of tokens: rare ones matter more.

    Vocabularies list their tokens by falling frequency, and by Zipf's law the logarithm of that
    rank grows like the logarithm of a token's inverse frequency. So a weight needs no collection,
    and a pair's score does not depend on what else is scored.

    Args:
        vocabulary: The token ids of the words that the tokenizer knows.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        # Single characters come first, in the order of their code points.
        words = [i for token, i in vocabulary.items() if len(token) > 1 and token.isalpha()]
        first = min(words, default=0)
        ids = np.arange(max(vocabulary.values(), default=0) + 1)
        self._weights = np.log(2.0 + np.maximum(0, ids - first)).astype(np.float32)

    def __call__(self, token_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The weight of every token; shape as given."""
        return self._weights[np.minimum(token_ids, len(self._weights) - 1)]
