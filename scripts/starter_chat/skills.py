"""Plain skills, answered without a tool and without JSON, and how often each is practised."""

from starter_chat import talk_skills, text_skills
from starter_chat.turns import Skill

SKILLS = (
    Skill("greeting", talk_skills.greet, 0.6, is_open=False),
    Skill("identity", talk_skills.introduce, 0.5, is_open=False),
    Skill("fact", talk_skills.recall_fact, 1.4, is_open=False),
    Skill("addition", text_skills.add, 2.2),
    Skill("subtraction", text_skills.subtract, 0.7),
    Skill("compare", text_skills.compare, 0.4),
    Skill("count words", text_skills.count_words, 1.0),
    Skill("echo", text_skills.echo, 1.8),
    Skill("reverse", text_skills.reverse, 1.2),
    Skill("upper case", text_skills.upper_case, 1.4),
    Skill("pick word", text_skills.pick_word, 0.8),
    Skill("count up", text_skills.count_up, 0.7),
    Skill("list", talk_skills.recite, 0.5, is_open=False),
    Skill("calendar", talk_skills.name_neighbour, 0.4, is_open=False),
    Skill("joke", talk_skills.joke, 0.1, is_open=False),
    Skill("poem", talk_skills.write_poem, 0.3, is_open=False),
    Skill("story", talk_skills.tell_story, 0.4, is_open=False),
    Skill("unknown", talk_skills.admit_ignorance, 0.5),
)
