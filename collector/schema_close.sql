-- Made when the trace is closed: one live index costs inserts 2.6 times their price.
CREATE INDEX IF NOT EXISTS iteration_loop ON iteration(loop, begin_ns);
CREATE INDEX IF NOT EXISTS iteration_cell ON iteration(cell) WHERE cell IS NOT NULL;
CREATE INDEX IF NOT EXISTS blocking_call_cell ON blocking_call(cell);
CREATE INDEX IF NOT EXISTS task_leaked ON task(leaked) WHERE leaked IS NOT NULL;
CREATE INDEX IF NOT EXISTS sample_iteration ON sample(thread, begin_ns);
CREATE INDEX IF NOT EXISTS gil_sample_iteration ON gil_sample(thread, begin_ns);
CREATE INDEX IF NOT EXISTS task_step_long ON task_step(duration_ns);
