//! Compiles what the libtorch engine needs beside tch.
#![allow(clippy::print_stdout)] // It is how a build script speaks.

fn main() {
    println!("cargo:rerun-if-changed=src/torch/shim.cpp");
    #[cfg(feature = "libtorch")]
    libtorch();
}

#[cfg(feature = "libtorch")]
fn libtorch() {
    // Said by torch-sys, which has found and checked it.
    let library = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    let root =
        std::path::Path::new(&library).parent().unwrap_or(std::path::Path::new("")).to_owned();
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"))
        .file("src/torch/shim.cpp")
        .compile("cure_torch_shim");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    // For the programs that are made from this crate.
    println!("cargo:libtorch_lib={library}");
}
