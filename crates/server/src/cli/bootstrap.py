"""Runs a PySpark script against the engine that `millstream run` has started.

Passed to the interpreter with `-c`; its arguments are the script and the script's own arguments.
It changes three things, which PySpark refuses on Spark Connect although scripts written for a
local Spark contain them, and then runs the script as `python script.py` would:

- `spark.master` is dropped, with one notice;
- `spark.sparkContext` offers `setLogLevel`, `version` and `applicationId`; anything else raises
  PySpark's own error;
- `display(x)`, which notebooks provide, exists.

A Ctrl-C that Python drops, because it came inside of a finaliser or a callback, comes once more.
One that comes between the taking of a lock and its release (gRPC has many) leaves it taken, and the
interpreter waits for a thread that waits for the lock: five seconds after the script the process ends.
"""


def prepare_and_compile():
    import builtins
    import json
    import os
    import sys

    def say(text):
        print("millstream: " + text, file=sys.stderr, flush=True)

    # PySpark takes a main module without a file for a run of its own tests.
    sys.modules["__main__"].__file__ = sys.argv[1]

    report = sys.unraisablehook

    def interrupt_again(dropped):
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            return report(dropped)
        import signal
        import threading

        again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = interrupt_again

    python = sys.executable or "python3"
    try:
        import pyspark
    except ImportError:
        say(f"PySpark is not installed for {python}: run `{python} -m pip install pyspark-client`")
        sys.exit(127)
    try:
        from pyspark.errors import PySparkAttributeError
        from pyspark.sql.connect.session import SparkSession as RemoteSession
        from pyspark.sql.session import SparkSession
    except ImportError as error:
        version = getattr(pyspark, "__version__", "?")
        if int(version.split(".")[0] or 0) < 4:
            say(f"PySpark {version} is too old: run `{python} -m pip install -U pyspark-client`")
        else:
            reason = str(error).strip().splitlines()[0]
            say(
                f"PySpark {version} lacks what Spark Connect needs ({reason}): "
                f"run `{python} -m pip install pyspark-client`"
            )
        sys.exit(127)

    conf = json.loads(os.environ.pop("MILLSTREAM_CONF", "{}"))
    Builder = SparkSession.Builder
    told = []

    def drop_master(options):
        master = options.pop("spark.master", None) or os.environ.pop("MASTER", None)
        if master is not None and not told:
            told.append(master)
            say(f"spark.master ({master}) is ignored: the script runs on {os.environ['SPARK_REMOTE']}")

    validate = getattr(Builder, "_validate_startup_urls", None)

    def validate_startup_urls(self):
        drop_master(self._options)
        if validate is not None:
            validate(self)

    def master(self, master):
        drop_master({"spark.master": master})
        return self

    def with_conf(create):
        def wrapped(self):
            drop_master(self._options)
            for key, value in conf.items():
                self._options.setdefault(key, value)
            return create(self)

        wrapped.__doc__ = create.__doc__
        return wrapped

    Builder._validate_startup_urls = validate_startup_urls
    Builder.master = master
    Builder.getOrCreate = with_conf(Builder.getOrCreate)
    Builder.create = with_conf(Builder.create)

    class SparkContext:
        """The little of a SparkContext that makes sense without a JVM."""

        def __init__(self, session):
            self._session = session

        @property
        def version(self):
            return self._session.version

        @property
        def applicationId(self):
            return self._session.conf.get("spark.app.id")

        def setLogLevel(self, logLevel):
            known = ("ALL", "DEBUG", "ERROR", "FATAL", "INFO", "OFF", "TRACE", "WARN")
            if str(logLevel).upper() not in known:
                from pyspark.errors import IllegalArgumentException

                raise IllegalArgumentException(
                    f"Supplied level {logLevel} did not match one of: {','.join(known)}"
                )

        def __getattr__(self, name):
            raise PySparkAttributeError(
                errorClass="JVM_ATTRIBUTE_NOT_SUPPORTED",
                messageParameters={"attr_name": "sparkContext." + name},
            )

    RemoteSession.sparkContext = property(SparkContext)

    if not hasattr(builtins, "display"):
        from pyspark.sql.connect.dataframe import DataFrame

        def display(*values, **_):
            for value in values:
                if isinstance(value, DataFrame):
                    value.show()
                else:
                    print(value)

        builtins.display = display

    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        with open(script, "rb") as file:
            source = file.read()
    except OSError as error:
        say(f"cannot read {script}: {error.strerror}")
        sys.exit(2)
    return script, compile(source, script, "exec", dont_inherit=True)


def run(script, code, namespace):
    import sys

    namespace.update(__file__=script, __name__="__main__", __doc__=None)
    try:
        exec(code, namespace)
    except SystemExit:
        raise
    except KeyboardInterrupt:
        import os
        import threading

        def end():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)

        ending = threading.Timer(5, end)
        ending.daemon = True
        ending.start()
        raise
    except BaseException as error:
        # The traceback starts in the script, not here.
        error = error.with_traceback(error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def main():
    import sys

    script, code = prepare_and_compile()
    namespace = sys.modules["__main__"].__dict__
    for name in ("prepare_and_compile", "run", "main"):
        namespace.pop(name, None)
    return script, code, namespace


(lambda run, prepared: run(*prepared))(run, main())
