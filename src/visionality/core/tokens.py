"""A token count when the provider gave none, always labelled `tokenizer_estimate`.

Byte-pair vocabularies of the large vendors average close to four bytes of English text a token and about one
token a character for scripts outside Latin. The estimate rounds up; a true-up corrects it when the truth is known.
"""

_BYTES_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """How many tokens a text is likely to be; 0 only for the empty text."""
    wide = sum(1 for char in text if char > "\u02ff")
    narrow = len(text) - wide
    return wide + -(-narrow // _BYTES_PER_TOKEN)
