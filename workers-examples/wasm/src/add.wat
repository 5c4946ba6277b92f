;; Source of add.wasm.
(module
  ;; The sum of two 32-bit integers; wraps around.
  (func (export "add") (param $a i32) (param $b i32) (result i32)
    local.get $a
    local.get $b
    i32.add)

  ;; The n-th Fibonacci number; right up to n = 92, the last one that fits into 63 bits.
  (func (export "fib") (param $n i32) (result i64)
    (local $this i64)
    (local $next i64)
    (local.set $next (i64.const 1))
    (block $done
      (loop $step
        (br_if $done (i32.eqz (local.get $n)))
        ;; this, next = next, this + next
        (i64.add (local.get $this) (local.get $next))
        (local.set $this (local.get $next))
        (local.set $next)
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $step)))
    local.get $this))
