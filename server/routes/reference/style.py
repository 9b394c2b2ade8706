"""The style sheet of the API reference: light and dark, wide and narrow. Loads nothing."""

STYLE = """
:root{color-scheme:light dark;--text:#1c1b19;--soft:#6b675f;--page:#fdfcfa;--panel:#f4f1ec;--line:#e2ddd4;
--link:#9a3412;--get:#1d6f42;--post:#9a3412;--delete:#a11d2b;--put:#5b4bb0}
@media(prefers-color-scheme:dark){:root{--text:#e9e6e0;--soft:#a19c92;--page:#171614;--panel:#211f1c;
--line:#37342f;--link:#f59e6b;--get:#6fcf97;--post:#f59e6b;--delete:#f28b94;--put:#b3a6f5}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;display:grid;grid-template-columns:19rem minmax(0,1fr);color:var(--text);background:var(--page);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);
font-size:.8125rem}
nav ul{list-style:none;margin:0;padding:0}
nav li{margin:.3rem 0}
nav>ul>li{margin-bottom:1rem}
nav a{display:block;color:var(--text)}
main{max-width:58rem;padding:1.5rem 2.5rem 4rem}
h1{margin:0 0 1rem;font-size:1.75rem;line-height:1.2}
h2{margin:3rem 0 0;padding-bottom:.4rem;border-bottom:1px solid var(--line);font-size:1.3rem}
h3{margin:0;font:600 1rem/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
article{margin-top:2.25rem}
p{margin:.6rem 0;max-width:46rem}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
code,pre,.method{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font-size:.875em;overflow-wrap:anywhere}
p code,td code{padding:.1em .3em;border-radius:.25rem;background:var(--panel)}
pre{margin:.8rem 0;padding:.8rem 1rem;overflow-x:auto;border:1px solid var(--line);border-radius:.4rem;
background:var(--panel);line-height:1.45}
pre code{font-size:.8125rem;overflow-wrap:normal}
.method{display:inline-block;min-width:3.4rem;font-size:.8125em;font-weight:700;color:var(--get)}
nav .method{min-width:2.9rem;font-size:.6875rem}
.post{color:var(--post)}.delete{color:var(--delete)}.put,.patch{color:var(--put)}
.access,.limits,.place{color:var(--soft)}
.access,.limits{font-size:.875rem}
.access{margin:.1rem 0 .6rem}
table{width:100%;margin:.8rem 0;border-collapse:collapse;font-size:.9rem}
th,td{padding:.45rem .8rem .45rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600}
td:nth-last-child(3){width:38%}td:nth-last-child(2){width:18%}td:first-child:nth-last-child(2){width:6rem}
td em{color:var(--link);font-style:normal;font-size:.8125rem}
summary{cursor:pointer;color:var(--soft);font-size:.875rem}
@media(max-width:52rem){
body{display:block}
nav{position:static;height:auto;max-height:40vh;padding:1rem;border:0;border-bottom:1px solid var(--line)}
main{padding:1rem 1rem 3rem}
article thead{display:none}
article tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
article td{display:block;width:auto!important;padding:.1rem 0;border:0}
}
"""
