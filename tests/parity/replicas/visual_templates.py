"""Chat templates of rerankers that look and listen, with roles for a query and a document."""

from __future__ import annotations

# The token at whose place the score of jina-reranker-m0's pairs is read.
SCORE = "<|score|>"


def _parts(**shown: str) -> str:
    """A macro for what a message shows and says, in the order of its parts.

    Args:
        shown: By kind of medium, the tokens that stand for one.
    """
    media = "".join(
        f"{{%- elif part.type == '{kind}' -%}}{tokens}" for kind, tokens in shown.items()
    )
    return _PARTS.replace("MEDIA", media)


_PARTS = (
    "{%- macro parts(message) -%}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if 'text' in part -%}{{ part.text }}MEDIA{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{%- set said = namespace(system='', query='', document='') -%}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'system' -%}{%- set said.system = parts(message) -%}"
    "{%- elif message.role == 'query' -%}{%- set said.query = parts(message) -%}"
    "{%- elif message.role == 'document' -%}{%- set said.document = parts(message) -%}"
    "{%- endif -%}{%- endfor -%}"
)
_QWEN_PARTS = _parts(
    image="<|vision_start|><|image_pad|><|vision_end|>",
    video="<|vision_start|><|video_pad|><|vision_end|>",
)
_OMNI_PARTS = _parts(
    image="<|vision_bos|><|IMAGE|><|vision_eos|>",
    audio="<|audio_bos|><|AUDIO|><|audio_eos|>",
    video="<|vision_bos|><|VIDEO|><|vision_eos|>",
)

# The published prompt: a fixed system turn, and the three parts in one turn of the user.
_QUESTION = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the "
    "Query and the Instruct provided. Note that the answer can only be "
    '"yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: {{ said.system or 'Given a search query, retrieve relevant candidates that "
    "answer the query.' }}<Query>:{{ said.query }}{{ '\n' }}"
    "<Document>:{{ said.document }}<|im_end|>{{ '\n' }}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\n' }}{%- endif -%}"
)

QWEN_TEMPLATE = _QWEN_PARTS + _QUESTION
OMNI_TEMPLATE = _OMNI_PARTS + _QUESTION

# The document comes first, and the token whose vector is the answer comes last.
JINA_TEMPLATE = (
    _QWEN_PARTS + "{%- if said.system -%}{{ said.system }}{{ '\n' }}{%- endif -%}"
    "**Document**:{{ '\n' }}{{ said.document }}{{ '\n' }}"
    "**Query**:{{ '\n' }}{{ said.query }}" + SCORE
)

# A page of several parts is shown once, before the words.
NEMOTRON_TEMPLATE = (
    "{%- set said = namespace(system='', query='', document='', pictures='') -%}"
    "{%- for message in messages -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{%- set said.pictures = said.pictures ~ '<image> ' -%}"
    "{%- elif message.role == 'query' -%}{%- set said.query = said.query ~ part.text -%}"
    "{%- elif message.role == 'document' -%}{%- set said.document = said.document ~ part.text -%}"
    "{%- elif message.role == 'system' -%}{%- set said.system = said.system ~ part.text -%}"
    "{%- endif -%}{%- endfor -%}{%- endfor -%}"
    "{{ said.pictures }}question:{{ said.system }}{{ said.query }}"
    " {{ '\n' }} {{ '\n' }} passage:{{ said.document }}"
)
