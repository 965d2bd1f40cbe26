"""Statistics on words, for pipelines."""

from textstats.lengths import WordLengths
from textstats.lengths import format_length

__all__ = ['WordLengths', 'format_length']
