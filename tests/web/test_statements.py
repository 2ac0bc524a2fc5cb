"""The count of statements that other tests hold pages to sees both roads to the database."""


def test_statements_of_django_and_of_the_reader_are_counted(office):
    found = office.plane.statements(office.browser, "/")
    assert any("vis_session" in one or "django_session" in one for one in found)
    assert any("vis.request_logs" in one for one in found)
    assert len(found) < 12
