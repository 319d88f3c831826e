# Short commands: `just --list` shows them. Each works without just too; CONTRIBUTING.md says how.

# Format, lints and documentation.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items

# The tests in memory; with NAME every test of the workspace whose name contains it.
test name='':
    cargo test --workspace {{ if name == '' { '--lib' } else { '-- ' + quote(name) } }}

# Everything that CI does.
ci:
    .ci/run

# Write every generated file anew.
regen:
    -cargo test --quiet --workspace --lib -- generated_files_are_current the_documented_options
    cargo test --quiet --workspace --lib -- generated_files_are_current the_documented_options
    cargo run --quiet -p infra

# The functions against the sandbox, into ./lake: no account and no key.
demo:
    cargo demo

# Measure everything that docs/performance.md shows, and write its table.
bench *arguments:
    tests/bench/run {{ arguments }}

# The functions under the local Lambda emulator.
lambda:
    cargo lambda watch

# Build the stack and deploy it.
deploy:
    sam build
    sam deploy --guided
