//! The migrations are embedded: a changed one means a new build.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
