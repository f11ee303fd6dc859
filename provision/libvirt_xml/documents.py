"""XML documents as text, whatever they are encoded in, and their root: strictly, or as far as they can be read. Pure."""

from __future__ import annotations

import codecs
import re
from typing import Any

from lxml import etree

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARATION = re.compile(r"\ufeff?\s*<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
_WIDE = ("utf-16", "utf-32", "ucs", "iso-10646-ucs")
_FIRST_TAG = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*<(\w+)", re.DOTALL)


def text_of(content: bytes) -> str:
    """A document without its declaration, decoded as its byte order mark or the declaration says (XML 1.0, appendix F).

    Editors, xmlstarlet and oVirt write a declaration, PowerShell's redirection UTF-16. Raises ValueError when it is no text.
    """
    mark, encoding = next((one for one in _MARKS if content.startswith(one[0])), (b"", ""))
    declared = _ENCODING.match(content.lstrip())
    encoding = encoding or (declared[1].decode() if declared else "utf-8")
    if not mark and encoding.lower().startswith(_WIDE):  # whose declaration was read as ASCII: it was converted since
        encoding = "utf-8"
    try:
        return _DECLARATION.sub("", content[len(mark) :].decode(encoding), count=1)
    except LookupError as error:
        raise ValueError(f"there is no encoding {encoding!r}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"is not {encoding.upper()} text") from error


def may_be_xml(content: bytes) -> bool:
    """Whether a file begins like a document: with a byte order mark or a tag."""
    return content.startswith(tuple(mark for mark, _ in _MARKS)) or content.lstrip().startswith(b"<")


def first_tag(text: str) -> str:
    """The name of a document's first element, behind comments and declarations; "" where there is none."""
    found = _FIRST_TAG.match(text)
    return found[1] if found else ""


def root_of(xml: str) -> Any:
    """The root of a document; what its declaration says of bytes does not hold for text. Raises ValueError when it is not XML."""
    try:
        return etree.fromstring(_DECLARATION.sub("", xml, count=1).encode(), etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not XML: {error.msg}") from error


def parsed(xml: str) -> Any:
    """The root of a document; an empty element where there is none. Characters that XML forbids are passed over."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, huge_tree=True)
    text = _DECLARATION.sub("", xml, count=1)
    root = etree.fromstring(text.encode(errors="replace"), parser) if text.strip() else None
    return etree.Element("unreadable") if root is None else root
