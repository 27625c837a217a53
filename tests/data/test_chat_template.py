# ruff: noqa: E501 (templates are written as they are found)
"""Chat templates: the text that transformers renders, the spans that are trained, and hostile templates."""

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from chat_templates import CHATML, GEMMA, MARKED, MISTRAL, QWEN, TEMPLATES
from creuset.data import chat_template
from creuset.data.chat_process import MAX_MEMORY_BYTES
from creuset.data.chat_template import ChatTemplate
from creuset.errors import DataError, NotFoundError, UsageError
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
        ChatTemplate("\n{% endfor %}", where="x.jinja").render([USER])
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
    "a nested width": "{{ '{:>{}}'.format(1, 99999999) }}",
    "replacements": "{{ ('x' * 999999).replace('x', 'y' * 999999) }}",
    "a replacing filter": "{{ ('x' * 999999) | replace('x', 'y' * 999999) }}",
    "joins": "{{ ([('x' * 999999)] * 999999) | join }}",
    "tabs": "{{ ('\\t' * 999999).expandtabs(999999) }}",
    "an indent": "{{ [[[1]]] | tojson(indent=99999999) }}",
    "bytes": "{{ (1).to_bytes(999999999, 'big') }}",
    "a centre": "{{ 'x' | center(999999999) }}",
    "wrapping": "{% for i in range(99999) %}{{ ('x ' * 999999) | wordwrap(1) | length }}{% endfor %}",
    "an indented text": "{{ ('x\\n' * 999999) | indent(999) }}",
    "links": "{{ ('http://x.y/ ' * 999999) | urlize(nofollow=true, target='y' * 9999) }}",
    "a nested list as JSON": "{% set n = namespace(v=[0] * 999) %}{% for i in range(9) %}{% set n.v = [n.v] * 999 %}{% endfor %}"
    "{{ n.v | tojson }}",
    "a nested list as text": "{% set n = namespace(v=[0] * 999) %}{% for i in range(9) %}{% set n.v = [n.v] * 999 %}{% endfor %}"
    "{{ n.v }}",
    "a joined list of lists": "{% set n = [['x' * 9999] * 9999] * 9999 %}{{ n | map('join') | join }}",
    "sums of lists": "{{ ([[0] * 99999] * 99999) | sum(start=[]) | length }}",
    "a format with many arguments": "{{ ('%s' * 99999) % ((['x' * 99999] * 99999) | map('string') | list) }}",
    "a width from data": "{{ '%*d' | format(999999999, 1) }}",
    "batches": "{{ range(9) | batch(999999999, 'x') | list }}",
    "slices": "{{ range(9) | slice(999999999, 'x') | list }}",
    "folded when compiled": "{{ 'x' | center(9999999999) | length }}",
    "a product that is compiled": "{% set x = 'x' * 9999999999 %}",
    "a slow search": "{{ ('a' * 99999) | urlize }}{{ ('@' * 9999999) | urlize }}{% for i in range(99999) %}{{ ('a.' * 99999) | urlize | length }}{% endfor %}",
    "a way out": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a change": "{{ messages.append(1) }}",
    "a namespace": "{% set n = namespace(__class__=1) %}{% set n.__init__ = 1 %}{{ n.__class__.__init__ }}",
}


MEMORY = (
    *("a long text", "doubling", "replacements", "a joined list of lists", "an indented text", "links"),
    *("a nested list as JSON", "a format with many arguments", "folded when compiled", "bytes"),
)
"""Those of HOSTILE that fill a memory soonest."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit that a test can wait for."""
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.25)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_soon_and_cost_this_process_nothing(name: str) -> None:
    template = ChatTemplate(HOSTILE[name], where="chat template of x")
    tracemalloc.start()
    try:
        begin = time.perf_counter()
        with pytest.raises(DataError, match=r"chat template of x: the (chat )?template"):
            template.render([USER])
        assert time.perf_counter() - begin < 5
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_hostile_templates_take_no_more_memory_than_allowed() -> None:
    """In a process of its own, whose children are these templates' alone: the most that any had."""
    program = """
import json, resource, sys
from creuset.data import chat_template
from creuset.data.chat_process import MAX_MEMORY_BYTES
from creuset.errors import DataError
chat_template.MAX_SECONDS = 0.5
for source in json.load(sys.stdin):
    try:
        chat_template.ChatTemplate(source).render([{"role": "user", "content": "x"}])
    except DataError:
        continue
    raise AssertionError(source)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    sources = json.dumps([HOSTILE[name] for name in MEMORY])
    done = subprocess.run([sys.executable, "-c", program], input=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert 10_000_000 < peak <= MAX_MEMORY_BYTES


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no memory")
@pytest.mark.parametrize("name", ["a long text", "doubling", "a filter's width", "folded when compiled"])
def test_memory_ends_a_template_before_its_time_does(name: str) -> None:
    with pytest.raises(DataError, match=r"makes too much|ended its process|failed on this conversation"):
        ChatTemplate(HOSTILE[name]).render([USER])


def test_after_a_refusal_and_after_an_end_it_renders_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.5)
    source = (
        "{% for a in range(messages[0].n) %}{% for b in range(messages[0].n) %}{% endfor %}{% endfor %}ok"
    )
    template = ChatTemplate(source)
    assert template.render([{**USER, "n": 1}]) == "ok"
    first = template.process_id
    assert template.render([{**USER, "n": 2}]) == "ok"
    assert template.process_id == first
    with pytest.raises(DataError, match=r"refuses|failed"):
        template.render([{**USER, "n": "x"}])
    with pytest.raises(DataError, match=r"takes too long\n  got: more than 0.5 s"):
        template.render([{**USER, "n": 99_999}])
    assert template.process_id is None
    assert template.render([{**USER, "n": 3}]) == "ok"
    second = template.process_id
    assert second not in (None, first)
    assert second is not None
    os.kill(second, signal.SIGKILL)
    os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
    assert template.render([{**USER, "n": 4}]) == "ok"


def test_a_template_s_process_ends_with_it() -> None:
    template = ChatTemplate(CHATML)
    template.render([USER])
    number = template.process_id
    assert number is not None
    del template
    gc.collect()
    with pytest.raises(ProcessLookupError):  # it is gone and waited for, not a zombie
        os.kill(number, 0)


def test_no_process_outlives_one_that_was_killed() -> None:
    program = """
import os
from creuset.data.chat_template import ChatTemplate
template = ChatTemplate("x")
template.render([{"role": "user", "content": "x"}])
os.write(1, str(template.process_id).encode())
os._exit(9)
"""
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    state = Path(f"/proc/{int(done.stdout)}/stat")
    deadline = time.monotonic() + 30
    while is_running(state) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(state)


def is_running(state: Path) -> bool:
    """Whether a process goes on, by its file in /proc; one that ended and is not yet waited for does not."""
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_forked_process_has_a_process_of_its_own() -> None:
    template = ChatTemplate("{{ messages[0].content }}")
    assert template.render([{**USER, "content": "a"}]) == "a"
    number = template.process_id
    child = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking beside threads
        answers = child.SimpleQueue()
        forked = child.Process(target=_render_into, args=(answers, template))
        forked.start()
        forked.join(60)
    assert answers.get() == ("b", True)
    assert template.render([{**USER, "content": "c"}]) == "c"
    assert template.process_id == number


def _render_into(answers: Any, template: ChatTemplate) -> None:
    before = template.process_id
    text = template.render([{**USER, "content": "b"}])
    answers.put((text, template.process_id != before))


def test_several_threads_may_render() -> None:
    template = ChatTemplate("{{ messages[0].content }}")
    with ThreadPoolExecutor(4) as threads:
        texts = list(threads.map(lambda n: template.render([{**USER, "content": f"{n} "}]), range(40)))
    assert texts == [f"{n} " for n in range(40)]


def test_long_conversations_and_all_characters_come_through() -> None:
    template = ChatTemplate("{% for turn in messages %}{{ turn.content }}{% endfor %}")
    content = "é🙂\ud800\u2028\x00" * 100_000
    assert template.render([{**USER, "content": content}] * 3) == content * 3
    with pytest.raises(DataError, match=r"makes too much\n  got: 12,000,000 characters"):
        template.render([{**USER, "content": "x" * 3_000_000}] * 4)


def test_it_is_handed_no_environment_and_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_SECRET", "never")
    with (tmp_path / "open").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        template = ChatTemplate(CHATML)
        template.render([USER])
        place = Path(f"/proc/{template.process_id}")
        if not place.exists():
            pytest.skip("needs /proc")
        assert b"SOME_SECRET" not in (place / "environ").read_bytes()
        assert str(held.name) not in [str(link.readlink()) for link in (place / "fd").iterdir()]


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
