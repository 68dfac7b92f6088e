"""The command `xstat-ray`, as `python -m xstat_ray.cli`."""

from xstat_ray.cli.main import main

if __name__ == "__main__":
    main()
