"""Read bodies that other people saved: files, git repositories, the Wayback Machine."""
