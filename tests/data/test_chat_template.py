# ruff: noqa: E501 (templates are written as they are found)
"""Chat templates: the text that transformers renders, the spans that are trained, and hostile templates."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from chat_templates import CHATML, GEMMA, MARKED, MISTRAL, QWEN, TEMPLATES
from creuset.data import chat_template
from creuset.data.chat_template import ChatTemplate
from creuset.errors import CreusetError, DataError, NotFoundError, UsageError
from small_tokenizers import small

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
USER = {"role": "user", "content": "  Why <b> & 'é' 🙂?\n"}
ANSWER = {"role": "assistant", "content": "Because. "}
AGAIN = {"role": "user", "content": "And?"}
SYSTEM = {"role": "system", "content": "Be brief."}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather <now> & later, à Paris",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Orléans"}}}],
}
TOOL = {"role": "tool", "content": "rain"}

CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one": [USER],
    "two": [USER, ANSWER, AGAIN],
    "answered": [USER, ANSWER, AGAIN, ANSWER],
}


def theirs(source: str, messages: Any, prompt: bool, tools: Any = None) -> str:
    rendered = render_jinja_template(
        [messages], tools=tools, chat_template=source, add_generation_prompt=prompt, **SPECIAL
    )
    text = rendered[0][0]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("prompt", [True, False])
def test_the_text_is_transformers(name: str, conversation: str, prompt: bool) -> None:
    messages = CONVERSATIONS[conversation]
    own = ChatTemplate(TEMPLATES[name], special=SPECIAL).render(messages, add_generation_prompt=prompt)
    assert own == theirs(TEMPLATES[name], messages, prompt)
    assert "Why <b> & 'é' 🙂?" in own


@pytest.mark.parametrize("name", ["chatml", "llama3", "qwen"])
def test_a_system_turn(name: str) -> None:
    messages = [SYSTEM, USER]
    own = ChatTemplate(TEMPLATES[name], special=SPECIAL).render(messages, add_generation_prompt=True)
    assert own == theirs(TEMPLATES[name], messages, True)


def test_tools_are_written_as_transformers_does() -> None:
    messages = [USER, CALL, TOOL, ANSWER]
    own = ChatTemplate(QWEN).render(messages, tools=TOOLS)
    assert own == theirs(QWEN, messages, False, TOOLS)
    assert '"description": "The weather <now> & later, à Paris"' in own
    assert '{"name": "weather", "arguments": {"city": "Orléans"}}' in own


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages | tojson(indent=2) }}",
        "{{ {'b': 1, 'a': 'é<'} | tojson(sort_keys=true, separators=(',', ':')) }}",
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% break %}{% endfor %}",
        "{% set ns = namespace(a='') %}{% for m in messages %}{% set ns.a = ns.a ~ m.role ~ 1 %}{% endfor %}{{ ns.a }}",
        "{% macro f(x, n=2) %}[{{ x }}{{ n }}]{% endmacro %}{{ f('a') ~ f('b', n=3) }}",
        "{{ messages | map(attribute='role') | join(', ') }} {{ 'a%sb' % 'x' }} {{ '%d' | format(3) }}",
        "{% for m in messages if m.role == 'user' %}{{ m.content | upper | trim }}{% else %}none{% endfor %}",
        "{% for a, b in {'x': 1}.items() %}{{ a }}={{ b }}{% endfor %}{{ [1, 2] + [3] }}{{ 7 // 2 ** 2 }}",
        "{{ 'abc'.replace('b', 'xx').center(9) | indent(2) }}{{ '-' * 5 }}{{ missing }}{{ none }}",
        "  {% if true %}\n  x\n  {% endif %}\n{{ strftime_now('%Y') }}",
        "{{ dict(a=1) }}{{ range(3) | list }}{% filter upper %}abc{% endfilter %}{% set x %}y{% endset %}{{ x }}",
    ],
)
def test_the_language_is_whole(source: str) -> None:
    assert ChatTemplate(source).render([USER, ANSWER]) == theirs(source, [USER, ANSWER], False)


@pytest.mark.parametrize("name", ["chatml", "llama3", "gemma", "qwen", "marked", "mistral"])
def test_trained_spans_are_the_answers_and_their_ends(name: str) -> None:
    answers = [{"role": "assistant", "content": "First."}, {"role": "assistant", "content": "Second."}]
    messages = [USER, answers[0], AGAIN, answers[1]]
    found = ChatTemplate(TEMPLATES[name], special=SPECIAL).trained_spans(messages)
    assert found.text == theirs(TEMPLATES[name], messages, False)
    ends = {
        "chatml": "<|im_end|>\n",
        "llama3": "<|eot_id|>",
        "gemma": "<end_of_turn>\n",
        "qwen": "<|im_end|>\n",
        "marked": "</a>",
        "mistral": "</s>",
    }
    begin = " " if name == "mistral" else ""
    trained = [found.text[start:end] for start, end in found.spans]
    assert [text.rstrip("\n") for text in trained] == [
        f"{begin}First.{ends[name]}".rstrip("\n"),
        f"{begin}Second.{ends[name]}".rstrip("\n"),
    ]


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    thinking = {"role": "assistant", "content": "<think>hm</think>\nYes."}
    template = ChatTemplate(QWEN, where="qwen.jinja")
    assert len(template.trained_spans([USER, thinking]).spans) == 1
    with pytest.raises(DataError) as raised:
        template.trained_spans([USER, thinking, AGAIN, ANSWER])
    assert "qwen.jinja: this template rewrites what precedes a turn: messages[1]" in str(raised.value)
    prompt = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>'")
    with pytest.raises(DataError, match="does not go on from the prompt for its answer"):
        ChatTemplate(prompt).trained_spans([USER, ANSWER])


def test_spans_need_an_answer_that_answers_something() -> None:
    with pytest.raises(UsageError, match="no turn of the assistant"):
        ChatTemplate(CHATML).trained_spans([USER])
    with pytest.raises(UsageError, match="the first turn is the assistant's"):
        ChatTemplate(MARKED).trained_spans([ANSWER])


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "messages: no messages"),
        ([{"content": "x"}], r"messages\[0\]: a message without a role"),
        (["x"], "a message without a role"),
        ([USER, {"role": "asistant", "content": "x"}], 'no role "asistant"; did you mean "assistant"?'),
        ([{"role": "user"}], r"messages\[0\]\.content: a message without content"),
        ([{"role": "user", "content": 7}], "a message without content\n  got: 7"),
        ([{"role": "user", "content": "x", "when": {1, 2}}], "this is no JSON"),
        ([{"role": "user", "content": "x", "score": float("nan")}], "this is no JSON"),
    ],
)
def test_wrong_messages_are_named(messages: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        ChatTemplate(CHATML).render(messages)


def test_the_reason_of_a_template_is_told() -> None:
    with pytest.raises(
        DataError, match=r"refuses this conversation\n  got: Conversation roles must alternate"
    ):
        ChatTemplate(MISTRAL, special=SPECIAL).render([USER, USER])
    with pytest.raises(
        DataError, match=r"g\.jinja: the template refuses.*\n  got: System role not supported"
    ):
        ChatTemplate(GEMMA, special=SPECIAL, where="g.jinja").render([SYSTEM, USER])
    with pytest.raises(DataError, match=r"the template failed on this conversation\n  got: TypeError"):
        ChatTemplate("{{ messages[0].content + 1 }}").render([USER])
    with pytest.raises(DataError, match=r"x\.jinja:2: no Jinja template\n  got: .*endfor"):
        ChatTemplate("\n{% endfor %}", where="x.jinja")
    with pytest.raises(DataError, match="too large for a chat template"):
        ChatTemplate(" " * 1_000_001)


HOSTILE = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a filtered loop": "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "recursion": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "calls that double": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(90) }}",
    "a long text": "{{ 'x' * 1000000000 }}",
    "a long list": "{{ ([0] * 9999999) * 9999 }}",
    "a power": "{{ 2 ** 99999999 }}",
    "products": "{% set n = namespace(v=99999999) %}{% for i in range(99) %}{% set n.v = n.v * n.v %}{% endfor %}",
    "doubling": "{% set n = namespace(v='xxxx') %}{% for i in range(99) %}{% set n.v = n.v ~ n.v %}{% endfor %}",
    "adding": "{% set n = namespace(v='xxxx') %}{% for i in range(99) %}{% set n.v = n.v + n.v %}{% endfor %}",
    "blocks": "{% set n = namespace(v='xxxx') %}{% for i in range(99) %}{% set x %}{{ n.v }}{{ n.v }}{% endset %}"
    "{% set n.v = x %}{% endfor %}",
    "literals": "{% set x %}{% for i in range(99999) %}" + "x" * 9_999 + "{% endfor %}{% endset %}",
    "a width": "{{ '%999999999d' % 1 }}",
    "a filter's width": "{{ '%999999999d' | format(1) }}",
    "a method's width": "{{ 'x'.ljust(999999999) }}",
    "a format's width": "{{ '{:>999999999}'.format(1) }}",
    "a nested width": "{{ '{:>{}}'.format(1, 9999999) }}",
    "replacements": "{{ ('x' * 999999).replace('x', 'y' * 999999) }}",
    "a replacing filter": "{{ ('x' * 999999) | replace('x', 'y' * 999999) }}",
    "joins": "{{ ([('x' * 999999)] * 999999) | join }}",
    "tabs": "{{ ('\\t' * 999999).expandtabs(999999) }}",
    "an indent": "{{ [[[1]]] | tojson(indent=99999999) }}",
    "bytes": "{{ (1).to_bytes(999999999, 'big') }}",
    "a centre": "{{ 'x' | center(999999999) }}",
    "a way out": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a change": "{{ messages.append(1) }}",
    "a namespace": "{% set n = namespace(__class__=1) %}{% set n.__init__ = 1 %}{{ n.__class__.__init__ }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_soon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    with pytest.raises(CreusetError, match="chat template"):
        ChatTemplate(HOSTILE[name], where="chat template of x").render([USER])
    assert time.perf_counter() - begin < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000


def test_templates_of_a_folder(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    with pytest.raises(NotFoundError, match=r"no chat template\n  expected: chat_template\.jinja"):
        ChatTemplate.from_folder(tmp_path)
    config.write_text(json.dumps({"chat_template": "one{{ eos_token }}", "eos_token": {"content": "</s>"}}))
    assert ChatTemplate.from_folder(tmp_path).render([USER]) == "one</s>"
    named = [{"name": "default", "template": "two"}, {"name": "tool_use", "template": "three"}]
    config.write_text(json.dumps({"chat_template": named}))
    assert ChatTemplate.from_folder(tmp_path).render([USER]) == "two"
    assert ChatTemplate.from_folder(tmp_path, name="tool_use").render([USER]) == "three"
    with pytest.raises(NotFoundError, match=r'no chat template "tools"; did you mean "tool_use"\?'):
        ChatTemplate.from_folder(tmp_path, name="tools")
    ChatTemplate("four").save(tmp_path)
    assert ChatTemplate.from_folder(tmp_path).render([USER]) == "four"
    (tmp_path / "chat_template.jinja").unlink()
    for wrong in (7, [{"name": "default"}], ["x"]):
        config.write_text(json.dumps({"chat_template": wrong}))
        with pytest.raises(DataError, match="chat_template is no template"):
            ChatTemplate.from_folder(tmp_path)


def test_a_saved_folder_renders_the_same_in_transformers(tmp_path: Path) -> None:
    from creuset.data.tokenizer import Tokenizer
    from creuset.data.tokenizer_files import SpecialTokens

    tokenizer = Tokenizer(small("byte_level"), special=SpecialTokens(bos=0, eos=(2,)))
    tokenizer.save(tmp_path)
    ChatTemplate(TEMPLATES["llama3"]).save(tmp_path)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = CONVERSATIONS["answered"]
    text = ChatTemplate.from_folder(tmp_path).render(messages)
    assert text == reference.apply_chat_template(messages, tokenize=False)
    ids = reference.apply_chat_template(messages, tokenize=True, return_dict=False)
    assert tokenizer.encode(text, add_special=False) == ids


@pytest.mark.starter
def test_smollm2_s_own_template(starter: Path) -> None:
    gguf = pytest.importorskip("gguf")
    files = list((starter / "models" / "smollm2-135m").glob("*.gguf"))
    if not files:
        pytest.skip("needs the starter asset smollm2-135m")
    field = gguf.GGUFReader(files[0]).get_field("tokenizer.chat_template")
    if field is None:
        pytest.skip("this GGUF holds no chat template")
    source = field.contents()
    for messages in CONVERSATIONS.values():
        own = ChatTemplate(source, special=SPECIAL).render(messages, add_generation_prompt=True)
        assert own == theirs(source, messages, True)
    assert len(ChatTemplate(source, special=SPECIAL).trained_spans(CONVERSATIONS["answered"]).spans) == 2
