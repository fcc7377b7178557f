"""Where older bodies come from: each module yields what it finds, in any order."""
