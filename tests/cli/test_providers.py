"""Providers and prices by commands alone: what is stored is what the gateway will read."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import click
import pytest

from product import Product, running
from visionality.cli.prices import price_command
from visionality.cli.providers import ProviderName
from visionality.gateway.providers import PROVIDERS
from visionality.pricebook.book import BUCKETS

KEY = "sk-of-nobody"


def listed(product: Product, kind: str, **fields: str) -> list[dict]:
    records = [json.loads(line) for line in product.run(kind, "list", "--json").splitlines()]
    return [one for one in records if fields.items() <= one.items()]


def rates_of(product: Product, provider: str, model: str) -> dict[str, Decimal]:
    (one,) = product.query(
        "select rates from vis.prices_v1 where provider = %s and model = %s", provider, model
    )
    return {bucket: Decimal(rate) for bucket, rate in one["rates"].items()}


@pytest.mark.parametrize("name", [provider.name for provider in PROVIDERS])
def test_every_provider_that_the_gateway_knows_can_be_named(name):
    assert ProviderName().convert(name, None, None) == name


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_no_provider_can_have_the_name_of_a_path_of_the_gateway(provider):
    for route in provider.routes:
        segment = route.path.split("/")[1]
        if segment not in {one.name for one in PROVIDERS}:
            with pytest.raises(click.BadParameter):
                ProviderName().convert(segment, None, None)


def test_a_provider_is_set_up_with_its_deployments(product):
    words = ("provider", "add", "house-gpu", "--base-url", "http://127.0.0.1:9/v1/")
    said = product.run(*words, "--deployment", "chat=llama-3.3-70b", "--deployment", "fast=qwen=3", stdin=KEY)
    assert said == "calls of house-gpu now go to http://127.0.0.1:9/v1\n"
    (one,) = listed(product, "provider", provider="house-gpu")
    models = {"chat": "llama-3.3-70b", "fast": "qwen=3"}
    assert one == {
        "provider": "house-gpu",
        "state": "live",
        "on_abort": "drain",
        "base_url": "http://127.0.0.1:9/v1",
        "options": {"models": models},
    }
    (line,) = [line for line in product.run("provider", "list").splitlines() if "house-gpu" in line]
    assert line.endswith("models: chat: llama-3.3-70b, fast: qwen=3")
    (event,) = product.query("select detail from vis.admin_events where detail->>'provider' = 'house-gpu'")
    assert json.loads(event["detail"]["options"]) == {"models": models}
    assert KEY not in product.run("provider", "list")


def test_a_known_provider_needs_no_address(product):
    assert "https://openrouter.ai/api/v1" in product.run("provider", "add", "openrouter", stdin=KEY)
    assert "retired" in product.run("provider", "remove", "openrouter")
    assert [one["state"] for one in listed(product, "provider", provider="openrouter")] == ["retired"]


def test_a_price_for_a_provider_that_is_not_set_up_is_saved_with_a_warning(product):
    done = product.try_run("price", "set", "elsewhere", "m-1", "--input", "1", "--output", "2", "--yes")
    assert done.returncode == 0
    assert "elsewhere is not set up here" in done.stderr
    assert "vis provider add elsewhere" in done.stderr
    assert "saved" in done.stdout


def test_a_price_for_a_provider_that_is_set_up_warns_of_nothing(product):
    product.run("provider", "add", "here", "--base-url", "http://127.0.0.1:9/v1", stdin=KEY)
    done = product.try_run("price", "set", "here", "m-1", "--input", "1", "--output", "2", "--yes")
    assert "not set up" not in done.stderr
    assert "1M in + 1M out would cost 3 USD" in done.stderr


def test_every_bucket_of_tokens_follows_the_general_prices(product):
    product.run("price", "set", "openai", "all-of-it", "--input", "2", "--output", "8", "--yes")
    rates = rates_of(product, "openai", "all-of-it")
    assert rates.keys() == set(BUCKETS) - {
        "chars",
        "seconds_in",
        "images",
        "web_search",
        "file_search",
        "code_session",
    }
    for bucket, rate in rates.items():
        assert rate == (8 if bucket.startswith("out_") else 2), bucket


def test_a_bucket_can_have_a_price_of_its_own(product):
    words = ("--input", "5", "--output", "40", "--cache-read", "1", "--cache-write-1h", "9")
    product.run(
        "price",
        "set",
        "openai",
        "own",
        *words,
        "--rate",
        "in_image=10",
        "--rate",
        "cache_read_image=2.5",
        "--yes",
    )
    rates = rates_of(product, "openai", "own")
    assert (rates["in_text"], rates["in_image"], rates["out_image"]) == (5, 10, 40)
    assert (rates["cache_read"], rates["cache_read_audio"], rates["cache_read_image"]) == (
        1,
        1,
        Decimal("2.5"),
    )
    assert (rates["cache_write_5m"], rates["cache_write_1h"]) == (5, 9)


@pytest.mark.parametrize(
    ("model", "words", "rates", "echo"),
    [
        ("speech", ("--characters", "15"), {"chars": "15"}, "1M characters 15 USD"),
        ("hearing", ("--audio-hour", "0.36"), {"seconds_in": "100"}, "an hour of audio 0.36 USD"),
        ("thirds", ("--audio-hour", "0.12"), {"seconds_in": "33.333333333"}, "an hour of audio 0.12 USD"),
        ("pictures", ("--image", "0.04"), {"images": "40000"}, "an image 0.04 USD"),
        ("sessions", ("--code-session", "0.03"), {"code_session": "30000"}, "a code session 0.03 USD"),
        ("shelf", ("--file-search", "2.5"), {"file_search": "2500"}, "1000 file searches 2.5 USD"),
        ("web", ("--web-search", "10"), {"web_search": "10000"}, "1000 web searches 10 USD"),
    ],
)  # fmt: skip
def test_what_is_not_counted_in_tokens_has_its_own_unit(product, model, words, rates, echo):
    done = product.try_run("price", "set", "openai", model, *words, "--yes")
    assert done.returncode == 0, done.stderr
    assert echo in done.stderr
    assert rates_of(product, "openai", model) == {bucket: Decimal(rate) for bucket, rate in rates.items()}
    (one,) = listed(product, "price", model=model)
    assert (one["input"], one["output"]) == ("", "")


def test_an_embedding_has_no_price_of_an_output(product):
    product.run("price", "set", "openai", "embedder", "--input", "0.02", "--yes")
    rates = rates_of(product, "openai", "embedder")
    assert rates["embed"] == Decimal("0.02")
    assert not [bucket for bucket in rates if bucket.startswith("out_")]


def test_the_help_of_a_price_names_each_unit():
    text = price_command.commands["set"].get_help(click.Context(price_command.commands["set"]))
    assert "USD per million tokens" in " ".join(text.split())
    assert "An hour of audio" in text


def test_the_first_secrets_of_an_organisation_may_come_at_the_same_time():
    """Each needs the organisation's key, which there is one of."""
    with running() as product, ThreadPoolExecutor(6) as at_once:
        names = [f"vendor-{number}" for number in range(6)]

        def add(name: str) -> str:
            words = ("provider", "add", name, "--base-url", f"{product.sandbox}/v1")
            return product.run(*words, stdin="sk-any")

        assert len(list(at_once.map(add, names))) == len(names)
        assert product.query("select count(*) as n from vis_control.organisation_key") == [{"n": 1}]
