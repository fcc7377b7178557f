"""The client of OpenRouter's API: requests, retries, the rate limit, network errors."""
