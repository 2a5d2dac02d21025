"""uvicorn's fast HTTP/1.1 protocol, with a bound on a request's head: it would collect one that never ends."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The gate refuses a long head in words; this is for one whose end never comes.
_REFUSED = "The head of the request is too large."


def bounded_protocol(longest_head_bytes: int) -> type[HttpToolsProtocol]:
    """The protocol's class; it ends a connection whose head has more bytes than that and is not over."""

    class BoundedHttpProtocol(HttpToolsProtocol):
        _is_in_head = True
        _has_met_an_end = False
        _head_bytes = 0

        def data_received(self, data: bytes) -> None:
            was_in_head, self._has_met_an_end = self._is_in_head, False
            super().data_received(data)
            # What came with the end of another head or body counts from the next piece on.
            if was_in_head and not self._has_met_an_end:
                self._head_bytes += len(data)
            else:
                self._head_bytes = 0
            if self._head_bytes > longest_head_bytes and not self.transport.is_closing():
                self.send_400_response(_REFUSED)

        def on_headers_complete(self) -> None:
            self._is_in_head, self._has_met_an_end = False, True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._is_in_head = True
            super().on_message_complete()

    return BoundedHttpProtocol
