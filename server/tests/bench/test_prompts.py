from enginebay_server.bench.prompts import make_prompt


def test_prompts_are_as_long_as_asked_and_repeat_by_seed_alone() -> None:
    assert len(make_prompt(300, ("a", 0)).split()) == 300
    assert make_prompt(20, ("a", 0)) == make_prompt(20, ("a", 0))
    prompts = {make_prompt(20, ("a", turn)) for turn in range(50)}
    assert len(prompts) == 50
