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

# What a merge costs in a large lake, and how long a function takes to start.
bench:
    cargo build --release
    cargo run --release -p ticketlake-tests --bin bench-lake -- beside
    cargo run --release -p ticketlake-tests --bin bench-start -- target/release events bare

# The functions under the local Lambda emulator.
lambda:
    cargo lambda watch

# Build the stack and deploy it.
deploy:
    sam build
    sam deploy --guided
