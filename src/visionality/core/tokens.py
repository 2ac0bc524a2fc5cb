"""A token count when the provider gave none, always labelled `tokenizer_estimate`.

Byte-pair vocabularies of the large vendors average close to four bytes of English text a token and about one
token a character for scripts outside Latin. The estimate rounds up; a true-up corrects it when the truth is known.
"""

import re

_BYTES_PER_TOKEN = 4
_LATIN = re.compile(r"[\x00-\u02ff]+")


def estimated_tokens(text: str) -> int:
    """How many tokens a text is likely to be; 0 only for the empty text."""
    wide = 0 if text.isascii() else len(_LATIN.sub("", text))
    narrow = len(text) - wide
    return wide + -(-narrow // _BYTES_PER_TOKEN)
