"""The tables of the foundation.

Times are given by the program and never by the server, so that a demo hour or a simulated year costs nothing. Money is
in minor units. JSON that is read as a whole and hashed or decoded by us is text; JSON that is queried is jsonb.
"""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    # ---- what holds for the installation -----------------------------------------------------------------------------
    """
    CREATE TABLE meta (
        name  text PRIMARY KEY,
        value text NOT NULL
    )
    """,
    # The number of shards is fixed at the installation: every row's shard was computed with it.
    "INSERT INTO meta VALUES ('shards', '64'), ('install_id', gen_random_uuid()::text)",
    # ---- what arrives ------------------------------------------------------------------------------------------------
    """
    CREATE TABLE deliveries (
        delivery_id  text PRIMARY KEY,
        connection   text NOT NULL,
        delivery_key text NOT NULL,
        headers      jsonb NOT NULL,
        body         bytea NOT NULL,
        received_at  timestamptz NOT NULL,
        status       text NOT NULL CHECK (status IN ('translated', 'ignored', 'malformed')),
        facts        integer NOT NULL,
        reason       text NOT NULL DEFAULT '',
        UNIQUE (connection, delivery_key)
    )
    """,
    "CREATE INDEX deliveries_received ON deliveries (received_at)",
    """
    CREATE TABLE rejected_deliveries (
        connection text NOT NULL,
        day        date NOT NULL,
        reason     text NOT NULL,
        count      bigint NOT NULL DEFAULT 0,
        last_at    timestamptz NOT NULL,
        samples    jsonb NOT NULL DEFAULT '[]',
        PRIMARY KEY (connection, day, reason)
    )
    """,
    # A fact is kept here until its case has it in the log; then only its id stays, to know a repeat. `position` is the
    # order of insertion, which is not the order of commits: never read by position, only by status.
    """
    CREATE TABLE inbox (
        fact_id     text PRIMARY KEY,
        position    bigint GENERATED ALWAYS AS IDENTITY,
        shard       smallint NOT NULL,
        kind        text NOT NULL,
        case_id     text,
        status      text NOT NULL CHECK (status IN ('ready', 'waiting', 'done', 'parked')),
        fact        text NOT NULL,
        refs        text[] NOT NULL,
        seen_at     timestamptz NOT NULL,
        opens_at    timestamptz,
        rechecks    smallint NOT NULL DEFAULT 0,
        reason      text NOT NULL DEFAULT '',
        delivery_id text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX inbox_ready ON inbox (shard, position) WHERE status = 'ready'",
    "CREATE INDEX inbox_waiting_refs ON inbox USING gin (refs) WHERE status = 'waiting'",
    "CREATE INDEX inbox_waiting ON inbox (opens_at) WHERE status = 'waiting'",
    "CREATE INDEX inbox_recheck ON inbox (fact_id) WHERE status = 'waiting' AND rechecks < 3",
    "CREATE INDEX inbox_parked ON inbox (seen_at) WHERE status = 'parked'",
    # ---- the cases ---------------------------------------------------------------------------------------------------
    """
    CREATE TABLE cases (
        case_id     text PRIMARY KEY,
        shard       smallint NOT NULL,
        version     integer NOT NULL,
        kind        text NOT NULL,
        status      text NOT NULL,
        attention   boolean NOT NULL,
        sale_ref    text NOT NULL DEFAULT '',
        root_sale   text NOT NULL DEFAULT '',
        view        jsonb NOT NULL,
        claims      text NOT NULL,
        states      text NOT NULL,
        exceptions  text[] NOT NULL,
        head_hash   bytea NOT NULL,
        opened_at   timestamptz NOT NULL,
        updated_at  timestamptz NOT NULL,
        resolved_at timestamptz,
        closed_at   timestamptz
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX cases_root_sale ON cases (root_sale) WHERE root_sale <> ''",
    "CREATE INDEX cases_sale_ref ON cases (sale_ref) WHERE sale_ref <> ''",
    "CREATE INDEX cases_updated ON cases (updated_at)",
    "CREATE INDEX cases_attention ON cases (updated_at) WHERE attention",
    # One row for every change of a case. `body` is the canonical JSON that `hash` = sha256(prev_hash || body) covers.
    """
    CREATE TABLE log (
        case_id     text NOT NULL,
        seq         integer NOT NULL,
        body        text NOT NULL,
        prev_hash   bytea NOT NULL,
        hash        bytea NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (case_id, seq)
    )
    """,
    "CREATE INDEX log_recorded ON log USING brin (recorded_at)",
    """
    CREATE TABLE checkpoints (
        checkpoint_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        recorded_at   timestamptz NOT NULL,
        cases         integer NOT NULL,
        rows          bigint NOT NULL,
        root          bytea NOT NULL,
        heads         text NOT NULL,
        public_key    bytea NOT NULL,
        signature     bytea NOT NULL
    )
    """,
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("log", "checkpoints")
    ),
    # ---- what they are about -----------------------------------------------------------------------------------------
    """
    CREATE TABLE sales (
        sale_ref text PRIMARY KEY,
        version  integer NOT NULL,
        root     text NOT NULL,
        body     text NOT NULL
    )
    """,
    "CREATE INDEX sales_root ON sales (root)",
    # By which reference a case or a sale is found. A reference may name several.
    """
    CREATE TABLE xref (
        ref    text NOT NULL,
        target text NOT NULL,
        kind   text NOT NULL CHECK (kind IN ('case', 'sale')),
        PRIMARY KEY (ref, target)
    )
    """,
    "CREATE INDEX xref_target ON xref (target)",
    # ---- what we do outside ------------------------------------------------------------------------------------------
    """
    CREATE TABLE effects (
        effect_id     text PRIMARY KEY,
        owner         text NOT NULL,
        connection    text NOT NULL,
        kind          text NOT NULL,
        priority      smallint NOT NULL,
        scope         text NOT NULL,
        command       text NOT NULL,
        because       text NOT NULL DEFAULT '',
        after         text[] NOT NULL,
        status        text NOT NULL DEFAULT 'planned' CHECK (status IN
                      ('planned', 'sending', 'accepted', 'unknown', 'done', 'rejected', 'parked', 'discarded')),
        attempts      integer NOT NULL DEFAULT 0,
        looks         integer NOT NULL DEFAULT 0,
        not_before    timestamptz NOT NULL,
        worker        text NOT NULL DEFAULT '',
        lease         text NOT NULL DEFAULT '',
        word          text NOT NULL DEFAULT '',
        message       text NOT NULL DEFAULT '',
        code          text NOT NULL DEFAULT '',
        ref           text NOT NULL DEFAULT '',
        decided_at    timestamptz NOT NULL,
        first_sent_at timestamptz,
        done_at       timestamptz
    ) WITH (fillfactor = 70)
    """,
    # Of a connection: who goes next, whether anything is due at all (most may be backing off), what to ask about.
    "CREATE INDEX effects_planned ON effects (connection, priority, decided_at) WHERE status = 'planned'",
    "CREATE INDEX effects_due ON effects (connection, not_before) WHERE status = 'planned'",
    "CREATE INDEX effects_to_look ON effects (connection, not_before) WHERE status IN ('unknown', 'accepted')",
    "CREATE INDEX effects_sending ON effects (connection) WHERE status = 'sending'",
    "CREATE INDEX effects_scope_busy ON effects (scope) WHERE status IN ('sending', 'unknown') AND scope <> ''",
    "CREATE INDEX effects_after ON effects USING gin (after) WHERE status = 'planned' AND after <> '{}'",
    "CREATE INDEX effects_owner ON effects (owner) WHERE owner <> ''",
    "CREATE INDEX effects_parked ON effects (connection) WHERE status = 'parked'",
    # Signals about one object that has not been read yet are one read.
    "CREATE UNIQUE INDEX effects_one_look ON effects (connection, scope) WHERE kind = 'Look' AND status = 'planned'",
    """
    CREATE TABLE attempts (
        effect_id  text NOT NULL,
        n          integer NOT NULL,
        act        text NOT NULL CHECK (act IN ('send', 'find')),
        started_at timestamptz NOT NULL,
        ended_at   timestamptz NOT NULL,
        outcome    text NOT NULL,
        message    text NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX attempts_effect ON attempts (effect_id)",
    """
    CREATE TABLE timers (
        timer_id text PRIMARY KEY,
        case_id  text NOT NULL,
        shard    smallint NOT NULL,
        name     text NOT NULL,
        due_at   timestamptz NOT NULL,
        fired_at timestamptz
    )
    """,
    "CREATE INDEX timers_due ON timers (due_at) WHERE fired_at IS NULL",
    "CREATE INDEX timers_case ON timers (case_id) WHERE fired_at IS NULL",
    """
    CREATE TABLE exceptions (
        exception_id text PRIMARY KEY,
        case_id      text NOT NULL DEFAULT '',
        kind         text NOT NULL,
        severity     text NOT NULL,
        owner        text NOT NULL,
        subject      text NOT NULL,
        raised_at    timestamptz NOT NULL,
        due_at       timestamptz NOT NULL,
        impact_minor bigint NOT NULL DEFAULT 0,
        currency     text NOT NULL DEFAULT '',
        message      text NOT NULL,
        status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'withdrawn')),
        resolution   text NOT NULL DEFAULT '',
        ended_at     timestamptz
    )
    """,
    "CREATE INDEX exceptions_open ON exceptions (due_at) WHERE status = 'open'",
    "CREATE INDEX exceptions_case ON exceptions (case_id) WHERE case_id <> ''",
    # ---- the outside systems -----------------------------------------------------------------------------------------
    # `circuit`: closed lets calls through, open lets one call through after `paused_until`, stopped waits for a person.
    """
    CREATE TABLE connections (
        name         text PRIMARY KEY,
        circuit      text NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'stopped')),
        failures     integer NOT NULL DEFAULT 0,
        opened_at    timestamptz,
        paused_until timestamptz,
        reason       text NOT NULL DEFAULT '',
        tokens       double precision NOT NULL,
        refilled_at  timestamptz NOT NULL
    ) WITH (fillfactor = 50)
    """,
    # Where each feed was read up to, with the cursors of the last while: late rows appear behind the newest one.
    """
    CREATE TABLE cursors (
        connection text NOT NULL,
        feed       text NOT NULL,
        cursor     text NOT NULL,
        pulled_at  timestamptz NOT NULL,
        PRIMARY KEY (connection, feed, pulled_at)
    )
    """,
    """
    CREATE TABLE pulls (
        connection text NOT NULL,
        feed       text NOT NULL,
        due_at     timestamptz NOT NULL,
        message    text NOT NULL DEFAULT '',
        PRIMARY KEY (connection, feed)
    )
    """,
    """
    CREATE TABLE payouts (
        payout_ref text PRIMARY KEY,
        payout_id  text NOT NULL UNIQUE,
        connection text NOT NULL,
        currency   text NOT NULL,
        net_minor  bigint NOT NULL,
        entries    text NOT NULL,
        arrives_on text NOT NULL,
        status     text NOT NULL DEFAULT 'reported' CHECK (status IN ('reported', 'banked', 'posted', 'differs')),
        bank_ref   text NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX payouts_open ON payouts (currency) WHERE status IN ('reported', 'differs')",
    """
    CREATE TABLE bank_lines (
        bank_ref     text PRIMARY KEY,
        connection   text NOT NULL,
        amount_minor bigint NOT NULL,
        currency     text NOT NULL,
        line_text    text NOT NULL,
        booked_on    text NOT NULL,
        payout_ref   text NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX bank_lines_open ON bank_lines (currency) WHERE payout_ref = ''",
    # ---- people and rules --------------------------------------------------------------------------------------------
    # Personal data lives here and not in the log, so that it can be erased.
    """
    CREATE TABLE notes (
        note_ref   text PRIMARY KEY,
        case_id    text NOT NULL,
        written_at timestamptz NOT NULL,
        note       text NOT NULL
    )
    """,
    """
    CREATE TABLE api_keys (
        key_id       text PRIMARY KEY,
        name         text NOT NULL,
        secret_hash  text NOT NULL,
        environment  text NOT NULL,
        channels     text[] NOT NULL DEFAULT '{}',
        functions    text[] NOT NULL DEFAULT '{}',
        created_at   timestamptz NOT NULL,
        expires_at   timestamptz,
        revoked_at   timestamptz,
        last_used_at timestamptz
    )
    """,
    # The answer to a POST under the caller's key, so that a repeat gets the same one.
    """
    CREATE TABLE idempotency_keys (
        key_id       text NOT NULL,
        request_key  text NOT NULL,
        request_hash bytea NOT NULL,
        status       integer NOT NULL,
        answer       text NOT NULL,
        created_at   timestamptz NOT NULL,
        PRIMARY KEY (key_id, request_key)
    )
    """,
    """
    CREATE TABLE policies (
        version    text PRIMARY KEY,
        body       text NOT NULL,
        valid_from timestamptz NOT NULL,
        state      text NOT NULL CHECK (state IN ('draft', 'approved', 'withdrawn')),
        changed_by text NOT NULL DEFAULT '',
        changed_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing before it: drop the database")
