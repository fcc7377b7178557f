"""The price and uptime history of every LLM endpoint that OpenRouter lists."""
