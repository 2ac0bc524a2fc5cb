"""`python -m vis_verify` and the zipapp."""

from vis_verify.command import run

if __name__ == "__main__":
    run()
