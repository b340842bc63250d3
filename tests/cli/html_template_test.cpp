// SPDX-License-Identifier: Apache-2.0
#include "reports/html_template.hpp"

#include <stdexcept>
#include <string>

#include "catch.hpp"

using namespace omnibal::cli;

namespace {

using list = html_value::list;
using object = html_value::object;

}  // namespace

TEST_CASE("texts are escaped where the template does not say otherwise") {
  const object values = {{"text", "a < \"b\" & c > d"}};
  CHECK(fill_template("<p>{{text}}</p>", values) == "<p>a &lt; &quot;b&quot; &amp; c &gt; d</p>");
  CHECK(fill_template("<p>{{&text}}</p>", values) == "<p>a < \"b\" & c > d</p>");
}

TEST_CASE("a template without names is the page") {
  CHECK(fill_template("", {}).empty());
  CHECK(fill_template("h1 { margin: 0; }\n", {}) == "h1 { margin: 0; }\n");
}

TEST_CASE("sections are repeated for each element of a list") {
  const std::string rows = "{{#rows}}<tr>{{#cells}}<td>{{.}}</td>{{/cells}}</tr>\n{{/rows}}end";
  CHECK(fill_template(rows, {{"rows", list{}}}) == "end");
  CHECK(fill_template(rows, {{"rows", list{object{{"cells", list{"1", "<"}}},
                                           object{{"cells", list{"2"}}}}}}) ==
        "<tr><td>1</td><td>&lt;</td></tr>\n<tr><td>2</td></tr>\nend");
}

TEST_CASE("names of an element hide those around it") {
  const object values = {
      {"unit", "s"},
      {"rows", list{object{{"value", "1"}}, object{{"value", "2"}, {"unit", "ms"}}}}};
  CHECK(fill_template("{{#rows}}{{value}} {{unit}}, {{/rows}}{{unit}}", values) == "1 s, 2 ms, s");
}

TEST_CASE("a template that does not fit its values is refused") {
  const object values = {{"text", "a"}, {"rows", list{object{}}}};
  for (const char* page :
       {"{{unknown}}", "{{text", "{{#rows}}", "{{#rows}}{{/row}}", "{{rows}}", "{{#text}}{{/text}}",
        "{{/rows}}", "{{}}", "{{&}}", "{{#rows}}{{unknown}}{{/rows}}"}) {
    INFO(page);
    CHECK_THROWS_AS(fill_template(page, values), std::logic_error);
  }
}
