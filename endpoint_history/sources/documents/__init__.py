"""Find endpoints bodies within one saved JSON document. Pure."""
