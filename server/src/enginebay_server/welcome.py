"""The few lines that get a newcomer to a first answer, printed at start and served at ``/``."""

from __future__ import annotations

from collections.abc import Sequence


def welcome(base_url: str, models: Sequence[str], *, needs_key: bool) -> str:
    """Plain text; it shows that a key is needed, never the key. The page is only named where a
    browser, which sends no key, can open it.
    """
    model = models[0]
    key = "YOUR_KEY" if needs_key else "any"
    header = ' \\\n  -H "Authorization: Bearer $KEY"' if needs_key else ""
    page = "" if needs_key else f"\nChat in a browser: {base_url.removesuffix('v1')}\n"
    return f"""EngineBay serves the OpenAI API at {base_url}

Models: {", ".join(models)}
{page}
Try it with curl:

curl {base_url}/chat/completions{header} \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

or with the OpenAI SDK (pip install openai):

from openai import OpenAI
client = OpenAI(base_url="{base_url}", api_key="{key}")
answer = client.chat.completions.create(
    model="{model}", messages=[{{"role": "user", "content": "Hello!"}}]
)
print(answer.choices[0].message.content)
"""
