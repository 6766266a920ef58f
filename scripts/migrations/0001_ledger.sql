-- 0001_ledger.sql: payments and refunds, idempotency keys, checkouts, the outbox, the audit trail, orders' events.
--
-- Every table is fenced: a statement sees the rows of the tenant that the setting perigee.tenant names, and none without
-- it, whatever it asks for. It holds for the owner of the tables too (FORCE), but not for a superuser or a role with
-- BYPASSRLS. '*' opens the tables that the platform works through for all tenants.

-- The fence's tenant; NULL, which equals nothing, when there is none.
CREATE FUNCTION perigee_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(nullif(current_setting('perigee.tenant', true), ''), '*')::uuid
$$;

-- The clock in whole milliseconds, as the server's answers show times: what was read compares equal with what is kept.
CREATE FUNCTION perigee_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT date_trunc('milliseconds', clock_timestamp())
$$;

-- A statement that did not find what it must undoes the transaction that it is part of.
CREATE FUNCTION perigee_expect(got bigint, wanted bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF got <> wanted THEN
    RAISE EXCEPTION 'a statement has % rows, not %', got, wanted USING ERRCODE = 'PE001';
  END IF;
  RETURN true;
END
$$;

CREATE TABLE tenants (
  id UUID PRIMARY KEY,
  slug VARCHAR(255),
  name VARCHAR(255)
);

-- An amount has the currency's digits, at most 4, of whole units up to 19 digits.
CREATE TABLE payment_transactions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id UUID NOT NULL,
  order_id UUID NOT NULL,
  stripe_payment_intent_id VARCHAR(255) NOT NULL UNIQUE,
  amount DECIMAL(23, 4) NOT NULL CHECK (amount >= 0),
  currency VARCHAR(3) NOT NULL DEFAULT 'USD',
  status VARCHAR(50) NOT NULL,
  failure_reason VARCHAR(500),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  CONSTRAINT fk_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX idx_payment_transactions_tenant_id ON payment_transactions (tenant_id);
CREATE INDEX idx_payment_transactions_order_id ON payment_transactions (order_id);
CREATE INDEX idx_payment_transactions_status ON payment_transactions (status);
CREATE INDEX idx_payment_transactions_created_at ON payment_transactions (created_at DESC);
CREATE INDEX idx_payment_transactions_pending ON payment_transactions (tenant_id, created_at, id)
  WHERE status = 'pending';

CREATE TABLE payment_refunds (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id UUID NOT NULL REFERENCES tenants (id),
  payment_id UUID NOT NULL REFERENCES payment_transactions (id),
  stripe_refund_id VARCHAR(255) NOT NULL UNIQUE,
  amount DECIMAL(23, 4) NOT NULL CHECK (amount > 0),
  currency VARCHAR(3) NOT NULL,
  reason VARCHAR(500),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);
CREATE INDEX idx_payment_refunds_payment_id ON payment_refunds (payment_id);

CREATE TABLE idempotency_keys (
  tenant_id UUID NOT NULL,
  caller VARCHAR(255) NOT NULL,
  route VARCHAR(255) NOT NULL,
  key VARCHAR(255) NOT NULL,
  hash VARCHAR(255) NOT NULL,
  state VARCHAR(20) NOT NULL CHECK (state IN ('running', 'done')),
  epoch BIGINT NOT NULL,
  lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
  status INTEGER,
  headers JSON,
  body BYTEA,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (tenant_id, caller, route, key)
);
CREATE INDEX idx_idempotency_keys_expires_at ON idempotency_keys (expires_at);

CREATE TABLE checkouts (
  id UUID PRIMARY KEY,
  tenant_id UUID NOT NULL,
  caller VARCHAR(255) NOT NULL,
  route VARCHAR(255) NOT NULL,
  key VARCHAR(255) NOT NULL,
  hash VARCHAR(255) NOT NULL,
  order_id UUID NOT NULL,
  order_number VARCHAR(255) NOT NULL,
  reservation VARCHAR(255) NOT NULL,
  state VARCHAR(20) NOT NULL CHECK (state IN ('claimed', 'frozen', 'reserved', 'charging', 'awaiting_action', 'paid',
    'done', 'failed', 'released')),
  epoch BIGINT NOT NULL,
  parked SMALLINT NOT NULL DEFAULT 0,
  lease_until TIMESTAMP WITH TIME ZONE,
  quote JSON,
  data JSON,
  status INTEGER,
  headers JSON,
  body BYTEA,
  kept SMALLINT NOT NULL DEFAULT 0,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE UNIQUE INDEX checkouts_key ON checkouts (tenant_id, caller, route, key) WHERE state <> 'released';
CREATE UNIQUE INDEX checkouts_order_id ON checkouts (tenant_id, order_id);
CREATE INDEX idx_checkouts_lease_until ON checkouts (lease_until) WHERE lease_until IS NOT NULL;
-- What may come to be swept; kept: it was looked at, and has a payment.
CREATE INDEX idx_checkouts_updated_at ON checkouts (updated_at)
  WHERE kept = 0 AND state IN ('claimed', 'frozen', 'reserved', 'failed', 'released');

CREATE TABLE outbox (
  entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id UUID NOT NULL UNIQUE,
  tenant_id UUID NOT NULL,
  key VARCHAR(255) NOT NULL,
  kind VARCHAR(255) NOT NULL,
  payload JSON NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  head SMALLINT NOT NULL,
  due_at TIMESTAMP WITH TIME ZONE NOT NULL,
  worker VARCHAR(255),
  why VARCHAR(500),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE INDEX idx_outbox_key ON outbox (tenant_id, key, entry);
CREATE UNIQUE INDEX outbox_head ON outbox (tenant_id, key) WHERE head = 1;
CREATE INDEX idx_outbox_due_at ON outbox (due_at) WHERE head = 1;

-- A key's next entry becomes its head, also when somebody deletes one by hand. The lock is the one that whoever adds to
-- the key takes: what is added at the same time is either seen here, or sees that the key is empty.
CREATE FUNCTION perigee_outbox_next() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(OLD.tenant_id || ':' || OLD.key, 0));
  UPDATE outbox SET head = 1
    WHERE entry = (SELECT min(entry) FROM outbox WHERE tenant_id = OLD.tenant_id AND key = OLD.key);
  RETURN NULL;
END
$$;
CREATE TRIGGER outbox_next AFTER DELETE ON outbox
  FOR EACH ROW WHEN (OLD.head = 1) EXECUTE FUNCTION perigee_outbox_next();

CREATE TABLE audit_log (
  entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id UUID NOT NULL UNIQUE,
  tenant_id UUID NOT NULL,
  actor VARCHAR(255) NOT NULL,
  action VARCHAR(255) NOT NULL,
  subject VARCHAR(255) NOT NULL,
  before JSON,
  after JSON,
  request_id VARCHAR(255),
  at TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE INDEX idx_audit_log_tenant_id ON audit_log (tenant_id, entry);

CREATE FUNCTION perigee_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_log_rows BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION perigee_only_added_to();
CREATE TRIGGER audit_log_all BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION perigee_only_added_to();

-- Whoever adds records has a share of the tenant's lock until they can be read. It is taken before a record gets its
-- number; a trigger for each row would be too late. A reader who holds the lock alone knows that all that have a number
-- are there.
CREATE FUNCTION perigee_audit_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('audit:' || perigee_tenant(), 0));
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_log_begins BEFORE INSERT ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION perigee_audit_begins();

CREATE TABLE order_events (
  entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id UUID NOT NULL UNIQUE,
  tenant_id UUID NOT NULL,
  order_id UUID NOT NULL,
  kind VARCHAR(255) NOT NULL,
  data JSON,
  at TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE INDEX idx_order_events_order_id ON order_events (tenant_id, order_id, entry);

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants USING (id = perigee_tenant());

ALTER TABLE payment_transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON payment_transactions USING (tenant_id = perigee_tenant());

ALTER TABLE payment_refunds ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_refunds FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON payment_refunds USING (tenant_id = perigee_tenant());

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_log USING (tenant_id = perigee_tenant());

ALTER TABLE order_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON order_events USING (tenant_id = perigee_tenant());

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys USING (tenant_id = perigee_tenant());
CREATE POLICY platform ON idempotency_keys USING (current_setting('perigee.tenant', true) = '*');

ALTER TABLE checkouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE checkouts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON checkouts USING (tenant_id = perigee_tenant());
CREATE POLICY platform ON checkouts USING (current_setting('perigee.tenant', true) = '*');

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON outbox USING (tenant_id = perigee_tenant());
CREATE POLICY platform ON outbox USING (current_setting('perigee.tenant', true) = '*');
