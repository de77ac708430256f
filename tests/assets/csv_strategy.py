"""Random tables as RFC 4180 allows them."""

from __future__ import annotations

from hypothesis import strategies as st

FIELD = st.text(
    st.one_of(
        st.sampled_from('a",\n\r\t é日'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=8,
)


@st.composite
def csv_tables(draw: st.DrawFn) -> tuple[list[list[str]], bytes, list[int]]:
    """Rows, their bytes, and the line each starts on; quoting only sometimes, CRLF sometimes."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1, max_size=8))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text, lines, line = "", [], 1
    for row in rows:
        cells = []
        for field in row:
            needs = any(c in field for c in '",\n\r') or (width == 1 and not field)
            if needs or field.startswith("\ufeff") or draw(st.booleans()):
                field = '"' + field.replace('"', '""') + '"'
            cells.append(field)
        lines.append(line)
        written = ",".join(cells) + end
        text += written
        line += written.count("\n")
    data = text.encode()
    if draw(st.booleans()):
        data = data.removesuffix(end.encode())
    if draw(st.booleans()):
        data = b"\xef\xbb\xbf" + data
    return rows, data, lines
