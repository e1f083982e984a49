-- The trace: what the collector writes and the viewer reads. Times are ns since the trace's t0 (meta.t0_ns on
-- CLOCK_MONOTONIC), durations ns. Secondary indexes are made when the trace is closed (schema_close.sql).

CREATE TABLE meta(		-- one row a fact: t0_ns, started_at (ISO 8601, UTC), duration_ns, mode (run, attach, inline), version,
	key TEXT PRIMARY KEY,	-- stall_ns, min_block_ns, min_step_ns, complete (1: closed in good order), committed_ns (age of the last
	value ANY		-- commit), keep_ns, kept_from_ns (--keep: what ended before has been deleted), notebook, command, sensor
) STRICT, WITHOUT ROWID;

CREATE TABLE process(
	id INTEGER PRIMARY KEY,
	pid INTEGER NOT NULL,
	ppid INTEGER NOT NULL,
	argv TEXT NOT NULL,		-- JSON array of strings
	executable TEXT NOT NULL,
	python TEXT NOT NULL,		-- "3.11.2"
	stdlib TEXT NOT NULL,
	began_ns INTEGER NOT NULL,
	ended_ns INTEGER,		-- null: not known to have ended
	is_kernel INTEGER NOT NULL DEFAULT 0	-- 1: it ran notebook cells
) STRICT;

CREATE TABLE thread(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	tid INTEGER NOT NULL,
	name TEXT NOT NULL,
	seen_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE loop(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,	-- the last one that ran it
	kind TEXT NOT NULL,		-- asyncio, uvloop
	type TEXT NOT NULL,		-- the class
	coarse INTEGER NOT NULL DEFAULT 0,	-- 1: its selector cannot be timed
	began_ns INTEGER NOT NULL,	-- first run_forever
	ended_ns INTEGER,		-- last return of run_forever; null: still running at the end
	closed_ns INTEGER,		-- null: not seen to be closed
	stack INTEGER REFERENCES stack,	-- who started it first
	iterations INTEGER NOT NULL DEFAULT 0,	-- all of them, folded ones too
	busy_ns INTEGER NOT NULL DEFAULT 0,
	select_ns INTEGER NOT NULL DEFAULT 0,
	max_busy_ns INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE cell(			-- one execution of one notebook cell
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	loop INTEGER REFERENCES loop,
	idx INTEGER NOT NULL,		-- 0-based, in order of execution in its process
	execution_count INTEGER,
	source TEXT NOT NULL,
	filename TEXT,			-- of its code objects: /tmp/ipykernel_PID/HASH.py
	began_ns INTEGER NOT NULL,
	ended_ns INTEGER,		-- null: it was still running
	status TEXT NOT NULL,		-- running, ok, error; unknown: its end, or (began = ended) its run, was not recorded
	error TEXT,			-- type of the exception
	synchronous INTEGER NOT NULL DEFAULT 0,	-- 1: it ran inside one step, without giving the loop back
	tasks INTEGER NOT NULL DEFAULT 0,	-- tasks its code created, directly or through tasks
	steps INTEGER NOT NULL DEFAULT 0,	-- steps of those
	notebook_index INTEGER		-- its place in the notebook of attach --notebook, from 0; null: not known
) STRICT;

CREATE TABLE task(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	loop INTEGER REFERENCES loop,
	thread INTEGER NOT NULL REFERENCES thread,	-- that created it
	parent INTEGER REFERENCES task,	-- the task whose step created it
	cell INTEGER REFERENCES cell,	-- whose code created it, directly or through parents
	runs_cell INTEGER NOT NULL DEFAULT 0,	-- 1: the kernel's task that runs cells
	name TEXT NOT NULL,
	coro TEXT NOT NULL,
	user INTEGER NOT NULL,		-- 1: user code in the creation stack
	created_ns INTEGER NOT NULL,
	stack INTEGER REFERENCES stack,	-- of the creation
	file TEXT, line INTEGER, function TEXT,	-- innermost user frame of it, else innermost frame outside asyncio
	ended_ns INTEGER,		-- null: pending when the trace ended; unknown: last heard of
	state TEXT NOT NULL,		-- pending, done, cancelled, failed, destroyed; unknown: its end may be lost
	exception TEXT,			-- "ValueError: row 1", for failed
	retrieved INTEGER NOT NULL DEFAULT 1,	-- 0: failed and finalized without anybody looking
	cancelled_by TEXT,		-- user, shutdown (the loop's own shutdown), task
	steps INTEGER NOT NULL DEFAULT 0,
	busy_ns INTEGER NOT NULL DEFAULT 0,	-- sum of its steps
	max_step_ns INTEGER NOT NULL DEFAULT 0,
	last_ns INTEGER,		-- end of its last step
	awaiting TEXT,			-- what it waits for, while pending: asyncio.sleep, Queue.get, Future, Task 'name'
	await_stack INTEGER REFERENCES stack,
	await_file TEXT, await_line INTEGER, await_function TEXT,	-- innermost user await
	await_task INTEGER REFERENCES task,	-- if it waits for a task
	bound_ns INTEGER,		-- when the last of the timeouts that it set is due; null: it set none; the largest number: not known when
	cancel_ns INTEGER,		-- when the last cancel() asked it to end; null: nobody did, but for a loop's shutdown
	leaked TEXT			-- null; pending, destroyed, cancelled_at_shutdown
) STRICT;

CREATE TABLE task_step(			-- steps of at least min_step_ns; shorter ones are in step_total
	id INTEGER PRIMARY KEY,
	task INTEGER NOT NULL REFERENCES task,
	cell INTEGER REFERENCES cell,
	thread INTEGER NOT NULL REFERENCES thread,
	begin_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE step_total(		-- exact totals of shorter steps
	loop INTEGER NOT NULL,		-- 0: unknown
	cell INTEGER NOT NULL,		-- 0: none
	second INTEGER NOT NULL,	-- since t0
	bucket INTEGER NOT NULL,	-- floor(log2(duration in ns))
	count INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,
	PRIMARY KEY(loop, cell, second, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE "await"(			-- waits that have ended: of at least min_step_ns, or with an exception
	id INTEGER PRIMARY KEY,
	task INTEGER NOT NULL REFERENCES task,
	begin_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,
	what TEXT NOT NULL,
	stack INTEGER REFERENCES stack,	-- chain of coroutines, innermost first
	on_task INTEGER REFERENCES task,	-- if it was a task
	woken_how TEXT,			-- result, exception, cancel, timer, task, thread; null: not seen
	woken_by INTEGER REFERENCES task,	-- the task whose step set it
	woken_thread INTEGER REFERENCES thread,	-- the thread that set it, or asked for it
	woken_stack INTEGER REFERENCES stack,	-- where
	set_ns INTEGER,			-- when; the rest of the wait is the loop being late (a timer's due time: late_timer)
	received TEXT,			-- "TimeoutError: text", the exception it brought; null: none was seen
	bound_ns INTEGER		-- when the last timeout that its task had set is due; null: none was due after it began
) STRICT;

CREATE TABLE iteration(			-- iterations of at least min_step_ns; the causes sum to busy_ns
	id INTEGER PRIMARY KEY,
	loop INTEGER NOT NULL REFERENCES loop,
	cell INTEGER REFERENCES cell,	-- the cell with the larger part of it; null: none
	begin_ns INTEGER NOT NULL,	-- as its sensor saw it; of an agent's iteration busy_ns can be the kernel's, a little longer
	busy_ns INTEGER NOT NULL,
	select_ns INTEGER NOT NULL,	-- the wait before it
	ready INTEGER NOT NULL,		-- events the selector returned
	cpu_ns INTEGER NOT NULL,	-- agent: user and kernel together, outside gc
	cpu_user_ns INTEGER NOT NULL DEFAULT 0,
	cpu_kernel_ns INTEGER NOT NULL DEFAULT 0,
	gc_ns INTEGER NOT NULL,
	gil_ns INTEGER NOT NULL,
	runq_ns INTEGER NOT NULL,
	blocked_sleep_ns INTEGER NOT NULL,
	blocked_network_ns INTEGER NOT NULL,
	blocked_file_ns INTEGER NOT NULL,
	blocked_subprocess_ns INTEGER NOT NULL,
	blocked_dns_ns INTEGER NOT NULL,
	blocked_database_ns INTEGER NOT NULL,
	blocked_lock_ns INTEGER NOT NULL,
	blocked_fault_ns INTEGER NOT NULL,
	blocked_other_ns INTEGER NOT NULL,
	unknown_ns INTEGER NOT NULL,
	file TEXT, line INTEGER, function TEXT	-- of the longest thing seen in it; null: nothing seen
) STRICT;

CREATE TABLE iteration_total(		-- exact totals of shorter iterations
	loop INTEGER NOT NULL,
	cell INTEGER NOT NULL,		-- 0: none; the cell whose window holds the larger part
	second INTEGER NOT NULL,
	bucket INTEGER NOT NULL,	-- floor(log2(busy in ns))
	count INTEGER NOT NULL,
	busy_ns INTEGER NOT NULL,
	select_ns INTEGER NOT NULL,
	PRIMARY KEY(loop, cell, second, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocking_call(		-- calls of at least min_block_ns on loop threads
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	loop INTEGER REFERENCES loop,
	task INTEGER REFERENCES task,
	cell INTEGER REFERENCES cell,
	begin_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,	-- off CPU: wall time less cpu_ns
	cpu_ns INTEGER NOT NULL,
	call TEXT NOT NULL,		-- as the user knows it: requests.get, time.sleep(0.2)
	syscall TEXT NOT NULL,		-- the C call or syscall
	class TEXT NOT NULL,		-- sleep, network, file, subprocess, dns, database, lock, fault, other
	target TEXT NOT NULL,
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT,	-- innermost user frame, else innermost frame
	ended_by INTEGER REFERENCES thread,	-- of a lock or a pipe: the thread that let go of it, or put into it; null: not seen
	ended_stack INTEGER REFERENCES stack,	-- its stack then
	ended_file TEXT, ended_line INTEGER, ended_function TEXT,
	ended_process TEXT,		-- another process that ended it: python3 (pid 4711); null: it was none, or not seen
	unfinished INTEGER NOT NULL DEFAULT 0	-- 1: it had not returned when its process ended, or the recording
) STRICT;

CREATE TABLE gc(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	cell INTEGER REFERENCES cell,
	begin_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,
	cpu_ns INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	collected INTEGER NOT NULL
) STRICT;

CREATE TABLE timer_total(		-- lateness of timers: what the loop made them wait beyond their due time
	loop INTEGER NOT NULL,
	cell INTEGER NOT NULL,		-- the cell that held the loop meanwhile; 0: none
	second INTEGER NOT NULL,	-- since t0
	bucket INTEGER NOT NULL,	-- floor(log2(lateness in ns)), 0 for none
	count INTEGER NOT NULL,
	late_ns INTEGER NOT NULL,
	max_late_ns INTEGER NOT NULL,
	PRIMARY KEY(loop, cell, second, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE late_timer(		-- timers at least min_step_ns late, with whom they kept waiting
	id INTEGER PRIMARY KEY,
	loop INTEGER NOT NULL REFERENCES loop,
	due_ns INTEGER NOT NULL,
	late_ns INTEGER NOT NULL,
	task INTEGER REFERENCES task,	-- the task that waits for it; null: another callback
	cell INTEGER REFERENCES cell	-- of that task
) STRICT;

CREATE TABLE refusal(			-- work that a running or closed loop refused, caught by the program or not
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	loop INTEGER REFERENCES loop,
	task INTEGER REFERENCES task,
	cell INTEGER REFERENCES cell,
	time_ns INTEGER NOT NULL,
	why TEXT NOT NULL,		-- running, closed
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT
) STRICT;

CREATE TABLE loop_run(			-- one run_forever() of a loop, with who asked for it
	id INTEGER PRIMARY KEY,
	loop INTEGER NOT NULL REFERENCES loop,
	thread INTEGER NOT NULL REFERENCES thread,
	cell INTEGER REFERENCES cell,
	task INTEGER REFERENCES task,	-- whose step was open: a loop inside a loop
	began_ns INTEGER NOT NULL,
	ended_ns INTEGER,		-- null: not seen to end
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT	-- innermost user frame, else innermost frame
) STRICT;

CREATE TABLE executor_job(		-- work given to a thread pool
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	task INTEGER REFERENCES task,
	cell INTEGER REFERENCES cell,
	workers INTEGER,		-- of its pool; null: unknown
	default_pool INTEGER NOT NULL DEFAULT 0,	-- 1: the loop's own pool; 0: another, or not known
	worker INTEGER REFERENCES thread,	-- that ran it
	given_ns INTEGER NOT NULL,
	began_ns INTEGER,		-- null: not taken up, or not done when the trace ended
	ended_ns INTEGER,
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT
) STRICT;

CREATE TABLE queue(			-- asyncio queues seen while their loop turned
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	cell INTEGER REFERENCES cell,
	type TEXT NOT NULL,
	maxsize INTEGER NOT NULL,	-- 0: no bound
	seen_ns INTEGER NOT NULL,	-- when its size was last looked at
	largest INTEGER NOT NULL,	-- size seen
	stack INTEGER REFERENCES stack,	-- where it was made
	file TEXT, line INTEGER, function TEXT
) STRICT;

CREATE TABLE queue_sample(		-- looked at about once a second, kept where the size had changed
	queue INTEGER NOT NULL REFERENCES queue,
	time_ns INTEGER NOT NULL,
	size INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_event(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	task INTEGER REFERENCES task,
	cell INTEGER REFERENCES cell,
	time_ns INTEGER NOT NULL,
	event TEXT NOT NULL,
	detail TEXT NOT NULL,
	stack INTEGER REFERENCES stack
) STRICT;

CREATE TABLE sample(			-- where a loop's thread was while an iteration of 20 ms or more lasted
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,
	task INTEGER REFERENCES task,	-- the task whose step was open
	cell INTEGER REFERENCES cell,
	begin_ns INTEGER NOT NULL,	-- of the iteration
	time_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,	-- what it stands for: since the sample before it, or the iteration's begin
	kind TEXT NOT NULL,		-- python: bytecode ran; native: a C function; kernel: a system call; gc: a collection; unknown: off CPU, or perhaps
	state TEXT,			-- of the thread, as in /proc: R running or ready to, S waiting, D in the kernel
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT	-- innermost user frame, else innermost frame
) STRICT;

CREATE TABLE gil_sample(		-- who had the GIL while a loop waited for it, in iterations of 20 ms or more
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	thread INTEGER NOT NULL REFERENCES thread,	-- of the loop that waited
	holder INTEGER REFERENCES thread,	-- the thread that had it
	begin_ns INTEGER NOT NULL,	-- of the iteration
	time_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,	-- what it stands for: since the sample before it, or the iteration's begin
	exact INTEGER NOT NULL DEFAULT 0,		-- by the kernel, which saw that the holder had had it for so long: 1: and let go at that time, 2: and kept it; 0: sampled
	stack INTEGER REFERENCES stack,	-- of the holder; of one that let go, where it was last seen to have it, else where it let go
	file TEXT, line INTEGER, function TEXT	-- innermost user frame, else innermost frame
) STRICT;

CREATE TABLE cpu_taken(		-- who had the CPU that a loop was put off, while it could run: 1 ms and more in an iteration; a hypervisor: 0.1 ms
	id INTEGER PRIMARY KEY,
	loop INTEGER NOT NULL REFERENCES loop,
	begin_ns INTEGER NOT NULL,	-- of the iteration
	pid INTEGER NOT NULL,		-- as the recorder saw it; 0: the machine's hypervisor, which took the CPU from the loop on it
	name TEXT NOT NULL,		-- of that process
	duration_ns INTEGER NOT NULL	-- of the iteration's runq_ns; what is not known of that is in no row
) STRICT;

CREATE TABLE machine(		-- how busy the CPUs of the machine were, about once a second
	begin_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,
	cpus INTEGER NOT NULL,
	busy_ns INTEGER NOT NULL,	-- sum over all CPUs, in ticks of the kernel's
	stolen_ns INTEGER NOT NULL	-- by the hypervisor: not in busy_ns
) STRICT;

CREATE TABLE anomaly(
	id INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES process,
	time_ns INTEGER NOT NULL,
	kind TEXT NOT NULL,		-- never_awaited, refused (never awaited as a loop refused it), never_retrieved,
					-- destroyed_pending, asyncgen_left, gathered_failures (message: n of m, type), received
	task INTEGER REFERENCES task,
	cell INTEGER REFERENCES cell,
	coro TEXT NOT NULL,
	message TEXT NOT NULL,
	stack INTEGER REFERENCES stack,
	file TEXT, line INTEGER, function TEXT
) STRICT;

CREATE TABLE waits_for(		-- of tasks pending when their loop shut down, or at the end: the tasks that each waits for
	task INTEGER NOT NULL REFERENCES task,
	on_task INTEGER NOT NULL REFERENCES task,	-- itself, through gather() or wait(), or by a lock
	stack INTEGER REFERENCES stack,	-- chain of coroutines, innermost first
	file TEXT, line INTEGER, function TEXT,	-- innermost user await
	one INTEGER NOT NULL DEFAULT 0,	-- 1: any one of these tasks is enough to end its wait (FIRST_COMPLETED)
	lock INTEGER,			-- address of the asyncio.Lock that it waits for and on_task holds; null: none
	held_file TEXT, held_line INTEGER, held_function TEXT	-- the `async with` by which on_task holds it
) STRICT;

CREATE TABLE stale_write(		-- in the code of a coroutine: what was read of a shared name before an await is
	process INTEGER NOT NULL REFERENCES process,	-- written back to it after that
	file TEXT NOT NULL, function TEXT NOT NULL,
	name TEXT NOT NULL,		-- counter, self.total, rows[...]
	read_line INTEGER NOT NULL,
	await_line INTEGER NOT NULL,	-- a row for each await between the two
	write_line INTEGER NOT NULL,
	guarded INTEGER NOT NULL	-- 1: an `async with` or an acquire() comes before, and may exclude others
) STRICT;

CREATE TABLE frame(
	id INTEGER PRIMARY KEY,
	file TEXT NOT NULL,
	line INTEGER NOT NULL,		-- 0: unknown
	end_line INTEGER,		-- columns are 0-based UTF-8 byte offsets, 3.11+; null: unknown
	col INTEGER,
	end_col INTEGER,
	function TEXT NOT NULL,
	user INTEGER NOT NULL,		-- 1: neither standard library, site-packages nor IPython machinery
	generator INTEGER NOT NULL DEFAULT 0	-- 1: of a generator
) STRICT;

CREATE TABLE stack(			-- a tree: a stack is its innermost frame and the stack that called it
	id INTEGER PRIMARY KEY,
	parent INTEGER REFERENCES stack,	-- the caller; null: outermost
	frame INTEGER NOT NULL REFERENCES frame
) STRICT;

CREATE TABLE lost(			-- what was not recorded, or cut by a bound
	process INTEGER,		-- null: the recorder's own
	what TEXT NOT NULL,
	count INTEGER NOT NULL
) STRICT;

CREATE TABLE coverage(			-- what each sensor saw, and what it did not
	process INTEGER REFERENCES process,	-- null: the whole trace
	what TEXT NOT NULL,		-- tasks, syscalls, causes, cells, hook:<name>, note
	sensor TEXT NOT NULL,		-- agent, bpf, none, ipython, exact, coarse, placed, refused
	detail TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE finding(			-- the verdict with default thresholds, stored when the trace is closed
	rule TEXT NOT NULL,
	name TEXT NOT NULL,
	severity TEXT NOT NULL,
	process INTEGER REFERENCES process,
	cell INTEGER REFERENCES cell,
	file TEXT, line INTEGER,
	count INTEGER NOT NULL,
	cost_ns INTEGER,
	message TEXT NOT NULL
) STRICT;

-- Views for people. Durations in ms.

CREATE VIEW cell_summary AS		-- busy: the parts of its loop's iterations inside its window, as in the report
WITH w AS (
	SELECT c.*, coalesce(c.ended_ns, (SELECT value FROM meta WHERE key = 'duration_ns')) AS until_ns,
		coalesce((SELECT max(begin_ns) FROM iteration i WHERE i.loop = c.loop AND i.begin_ns <= c.began_ns), 0) AS from_ns
	FROM cell c),
part AS (
	SELECT w.id AS cell, min(i.begin_ns + i.busy_ns, w.until_ns) - max(i.begin_ns, w.began_ns) AS busy_ns
	FROM w JOIN iteration i ON i.loop = w.loop AND i.begin_ns >= w.from_ns AND i.begin_ns < w.until_ns
	WHERE i.begin_ns + i.busy_ns > w.began_ns)
SELECT w.idx AS cell, w.execution_count AS "In", w.status,
	round((w.until_ns - w.began_ns) / 1e6, 1) AS wall_ms,
	round(((SELECT coalesce(sum(busy_ns), 0) FROM part WHERE part.cell = w.id)
	 + (SELECT coalesce(sum(busy_ns), 0) FROM iteration_total t WHERE t.loop = w.loop AND t.cell = w.id)) / 1e6, 1) AS busy_ms,
	round((SELECT coalesce(max(busy_ns), 0) FROM part WHERE part.cell = w.id) / 1e6, 1) AS longest_busy_ms,
	round((SELECT coalesce(sum(duration_ns), 0) FROM blocking_call b WHERE b.cell = w.id) / 1e6, 1) AS blocking_ms,
	w.tasks AS tasks_created,
	(SELECT count(*) FROM task t WHERE t.cell = w.id AND t.leaked IS NOT NULL AND t.user) AS tasks_leaked,
	substr(w.source, 1, instr(w.source || char(10), char(10)) - 1) AS first_line
FROM w ORDER BY w.process, w.idx;

CREATE VIEW loop_lag AS
SELECT l.id AS loop, t.name AS thread, l.kind, l.iterations,
	round(l.busy_ns / 1e6, 1) AS busy_ms, round(l.max_busy_ns / 1e6, 1) AS max_ms,
	(SELECT count(*) FROM iteration i WHERE i.loop = l.id
	 AND i.busy_ns >= (SELECT value FROM meta WHERE key = 'stall_ns')) AS stalls,
	round((SELECT coalesce(sum(busy_ns), 0) FROM iteration i WHERE i.loop = l.id
	 AND i.busy_ns >= (SELECT value FROM meta WHERE key = 'stall_ns')) / 1e6, 1) AS stall_ms
FROM loop l JOIN thread t ON t.id = l.thread ORDER BY stall_ms DESC;

CREATE VIEW leaked_tasks AS
SELECT t.name, t.coro, c.idx AS cell, t.file, t.line, t.leaked AS reason,
	round((coalesce(t.ended_ns, (SELECT value FROM meta WHERE key = 'duration_ns')) - t.created_ns) / 1e6, 1) AS age_ms,
	t.awaiting, t.await_file, t.await_line
FROM task t LEFT JOIN cell c ON c.id = t.cell
WHERE t.leaked IS NOT NULL AND t.user ORDER BY t.created_ns;

CREATE VIEW alive_at_shutdown AS
SELECT t.name, t.coro, c.idx AS cell, t.file, t.line, t.loop,
	CASE WHEN t.cancelled_by = 'shutdown' THEN 'cancelled' ELSE 'pending' END AS how, t.awaiting
FROM task t JOIN loop l ON l.id = t.loop LEFT JOIN cell c ON c.id = t.cell
WHERE t.cancelled_by = 'shutdown' OR (t.created_ns <= l.ended_ns AND (t.ended_ns IS NULL OR t.ended_ns > l.ended_ns))
ORDER BY t.created_ns;

CREATE VIEW blocking_sites AS
SELECT c.idx AS cell, b.class, b.call, b.file, b.line, b.function, count(*) AS count,
	round(sum(b.duration_ns) / 1e6, 1) AS total_ms, round(max(b.duration_ns) / 1e6, 1) AS max_ms, max(b.target) AS target
FROM blocking_call b LEFT JOIN cell c ON c.id = b.cell
GROUP BY b.process, b.cell, b.file, b.line, b.call, b.class ORDER BY sum(b.duration_ns) DESC;

CREATE VIEW lag_causes AS
SELECT l.id AS loop, c.idx AS cell, round(sum(i.busy_ns) / 1e6, 1) AS busy_ms,
	round(sum(i.cpu_ns + i.cpu_user_ns + i.cpu_kernel_ns) / 1e6, 1) AS cpu_ms, round(sum(i.gc_ns) / 1e6, 1) AS gc_ms,
	round(sum(i.gil_ns) / 1e6, 1) AS gil_ms, round(sum(i.runq_ns) / 1e6, 1) AS runq_ms,
	round(sum(i.blocked_sleep_ns) / 1e6, 1) AS sleep_ms, round(sum(i.blocked_network_ns) / 1e6, 1) AS network_ms,
	round(sum(i.blocked_file_ns) / 1e6, 1) AS file_ms, round(sum(i.blocked_subprocess_ns) / 1e6, 1) AS subprocess_ms,
	round(sum(i.blocked_dns_ns) / 1e6, 1) AS dns_ms, round(sum(i.blocked_database_ns) / 1e6, 1) AS database_ms,
	round(sum(i.blocked_lock_ns) / 1e6, 1) AS lock_ms, round(sum(i.blocked_fault_ns + i.blocked_other_ns) / 1e6, 1) AS other_ms,
	round(sum(i.unknown_ns) / 1e6, 1) AS unknown_ms
FROM iteration i JOIN loop l ON l.id = i.loop LEFT JOIN cell c ON c.id = i.cell
GROUP BY l.id, c.id ORDER BY sum(i.busy_ns) DESC;
